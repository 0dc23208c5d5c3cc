"""Settings: where they come from, and what is said about wrong ones."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from fireside.bootstrap.environment import SettingsError, fold_files, read_settings
from fireside.bootstrap.settings import Settings


class Server(BaseModel):
    url: str
    api_key: SecretStr = SecretStr("")
    port: int = Field(default=80, le=100)


class LampSettings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="FIRESIDE_LAMP_", frozen=True)

    watts: int = Field(default=5, gt=0, description="How bright.")
    password: SecretStr = Field(default=SecretStr("long enough"), min_length=8)
    servers: tuple[Server, ...] = ()
    owner: int = Field(default=0, validation_alias="FIRESIDE_OWNER")


@pytest.mark.requirement("P5")
def test_each_place_wins_over_the_one_before(tmp_path: Path) -> None:
    environ = {"FIRESIDE_PORT": "4"}
    (tmp_path / "fireside.toml").write_text('port = 2\nhost = "2.2.2.2"\nnode_id = "toml"\n')
    (tmp_path / ".env").write_text("FIRESIDE_PORT=3\nFIRESIDE_HOST=3.3.3.3\nOTHER=1\n")

    fold_files(tmp_path, environ)

    assert environ == {"FIRESIDE_PORT": "4", "FIRESIDE_HOST": "3.3.3.3", "FIRESIDE_NODE_ID": "toml"}


def test_a_table_of_the_file_is_a_service_and_values_keep_their_kind(tmp_path: Path) -> None:
    environ: dict[str, str] = {}
    (tmp_path / "fireside.toml").write_text('[lamp]\nwatts = 9\nservers = [{url = "http://x"}]\nlit = true\n')

    fold_files(tmp_path, environ)

    assert environ == {
        "FIRESIDE_LAMP_WATTS": "9",
        "FIRESIDE_LAMP_SERVERS": '[{"url":"http://x"}]',
        "FIRESIDE_LAMP_LIT": "true",
    }


def test_a_folder_without_files_changes_nothing(tmp_path: Path) -> None:
    environ: dict[str, str] = {}

    fold_files(tmp_path, environ)

    assert environ == {}


@pytest.mark.parametrize("content", [b"port = = 1", b"\xff\xfe"])
def test_a_file_that_is_no_toml_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "fireside.toml").write_bytes(content)

    with pytest.raises(SettingsError, match=r"fireside\.toml: not valid TOML"):
        fold_files(tmp_path, {})


def test_options_win_over_the_environment_and_those_not_given_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRESIDE_PORT", "9000")
    monkeypatch.setenv("FIRESIDE_HOST", "1.2.3.4")

    settings = read_settings(Settings, port=9001, host=None)

    assert (settings.port, settings.host) == (9001, "1.2.3.4")


WRONG: list[tuple[str, str, str]] = [
    ("WATTS", "-1", "FIRESIDE_LAMP_WATTS: Input should be greater than 0 (value: '-1')"),
    ("WATTS", "bright", "FIRESIDE_LAMP_WATTS: Input should be a valid integer"),
    ("WATTS", "http://bob:hunter2@host", "(value: 'http://***@host')"),
    ("PASSWORD", "hunter2", "FIRESIDE_LAMP_PASSWORD: Value should have at least 8 items"),
    ("SERVERS", '[{"api_key": "hunter2"}]', "FIRESIDE_LAMP_SERVERS[0].url: Field required"),
    ("SERVERS", '[{"url": "x", "api_key": ["hunter2"]}]', "FIRESIDE_LAMP_SERVERS[0].api_key: Input should be a valid"),
    ("SERVERS", '[{"url": "x", "port": 101}]', "FIRESIDE_LAMP_SERVERS[0].port: Input should be less than or equal to"),
    ("SERVERS", '[{"url": "x", "api_key": "hunter2"', "FIRESIDE_LAMP_SERVERS: not valid JSON"),
]


def test_a_setting_with_a_name_of_its_own_is_named_by_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRESIDE_OWNER", "bob")

    with pytest.raises(SettingsError, match=r"^FIRESIDE_OWNER: "):
        read_settings(LampSettings)


@pytest.mark.requirement("P5")
@pytest.mark.parametrize(("name", "value", "said"), WRONG)
def test_a_wrong_value_names_its_variable_and_what_is_allowed_and_shows_no_secret(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(f"FIRESIDE_LAMP_{name}", value)

    with pytest.raises(SettingsError) as wrong:
        read_settings(LampSettings)

    assert said in str(wrong.value)
    assert "hunter2" not in everything_told_by(wrong.value)


def everything_told_by(error: BaseException | None) -> str:
    """The text of an error and of those that a log would show with it."""
    told: list[Any] = []
    while error is not None:
        told.append(error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return " ".join(map(str, told))
