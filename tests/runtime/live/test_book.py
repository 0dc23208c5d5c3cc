"""The book of settings: what is read on use changes, a wrong value never holds, secrets are hidden."""

from typing import ClassVar

import pytest
from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict
from structlog.testing import capture_logs

from fireside.bootstrap.environment import read_settings
from fireside.bootstrap.every_setting import every_settings_class
from fireside.runtime.live import SettingsBook, masked, masked_text
from fireside.runtime.live.book import live_fields

LIMIT, WAIT = "FIRESIDE_BOOKED_LIMIT", "FIRESIDE_BOOKED_WAIT_S"


class BookedSettings(BaseSettings):
    """Settings of this test's own."""

    model_config = SettingsConfigDict(env_prefix="FIRESIDE_BOOKED_", frozen=True)
    live: ClassVar = frozenset({"limit", "wait_s"})

    limit: int = Field(default=3, gt=0, description="Most of something.")
    wait_s: float = Field(default=1.0, gt=0, description="Longest wait.")
    url: str = Field(default="", description="Where it is.")
    key: SecretStr = Field(default=SecretStr(""), description="Its key.")


def shown(book: SettingsBook, name: str) -> tuple[object, str]:
    return next((setting.value, setting.source) for setting in book.show() if setting.name == name)


@pytest.mark.requirement("P5")
def test_settings_that_were_handed_out_say_what_holds_when_they_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LIMIT, "5")
    book = SettingsBook(read_settings)
    settings, heard = book.of(BookedSettings), list[int]()
    book.listen(BookedSettings, lambda changed: heard.append(changed.limit))

    assert (shown(book, LIMIT), shown(book, WAIT)) == ((5, "environment"), (1.0, "default"))
    assert (settings.limit, settings.wait_s) == (5, 1.0)
    book.take(1, {LIMIT: 7})

    assert (settings.limit, settings.wait_s, heard) == (7, 1.0, [7])
    assert shown(book, LIMIT) == (7, "live")
    book.take(2, {})

    assert (settings.limit, heard) == (5, [7, 5])


@pytest.mark.requirement("P5")
def test_a_value_that_this_node_cannot_take_leaves_the_old_one_and_is_told() -> None:
    book = SettingsBook(read_settings)
    settings = book.of(BookedSettings)
    book.take(1, {LIMIT: 7})

    with capture_logs() as logs:
        book.take(2, {LIMIT: -1, WAIT: 4, "FIRESIDE_BOOKED_LATER": 1, "FIRESIDE_ELSEWHERE_X": 1})

    assert (settings.limit, settings.wait_s) == (7, 4)
    assert sorted(book.refused) == ["FIRESIDE_BOOKED_LATER", LIMIT]
    assert "greater than 0 (value: -1)" in book.refused[LIMIT].replace("'", "")
    assert [(line["event"], line["log_level"]) for line in logs] == [("setting_not_applied", "error")] * 2


def test_an_older_version_is_passed_over_and_a_node_that_does_not_follow_takes_none() -> None:
    book, alone = SettingsBook(read_settings), SettingsBook(read_settings, follows=False)
    book.take(2, {LIMIT: 7})
    book.take(1, {LIMIT: 8})
    alone.take(1, {LIMIT: 8})

    assert book.of(BookedSettings).limit == 7
    assert alone.of(BookedSettings).limit == 3


def test_a_class_that_is_asked_for_late_has_the_live_values_too() -> None:
    book = SettingsBook(read_settings)
    book.take(1, {LIMIT: 7})

    assert book.of(BookedSettings).limit == 7


def test_only_live_settings_are_checked_as_such_and_numbers_come_out_as_numbers() -> None:
    book = SettingsBook(read_settings)
    book.of(BookedSettings)

    allowed, refused = book.checked({LIMIT: "9", WAIT: "long", "FIRESIDE_BOOKED_URL": "x", "FIRESIDE_NO": 1})

    assert allowed == {LIMIT: 9}
    assert refused[WAIT].startswith(f"{WAIT}: Input should be a valid number")
    assert "restart" in refused["FIRESIDE_BOOKED_URL"]
    assert "no such setting" in refused["FIRESIDE_NO"]


@pytest.mark.requirement("P5")
def test_secrets_are_hidden_wherever_they_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRESIDE_BOOKED_KEY", "hunter2")
    monkeypatch.setenv("FIRESIDE_BOOKED_URL", "redis://bob:hunter2@host:1/?password=hunter2&x=1")
    book = SettingsBook(read_settings)
    book.of(BookedSettings)

    assert shown(book, "FIRESIDE_BOOKED_KEY") == ("***", "environment")
    assert shown(book, "FIRESIDE_BOOKED_URL")[0] == "redis://***@host:1/?password=***&x=1"
    assert masked({"a": [SecretStr("hunter2"), 1, None]}) == {"a": ["***", 1, None]}
    assert masked_text("http://host/path") == "http://host/path"


def test_every_live_setting_is_a_field_of_its_class_and_none_is_a_secret() -> None:
    kinds = [kind for kind in every_settings_class() if live_fields(kind)]

    assert len(kinds) > 5
    for kind in kinds:
        assert live_fields(kind) <= set(kind.model_fields), kind
        assert not [name for name in live_fields(kind) if "Secret" in str(kind.model_fields[name].annotation)], kind
