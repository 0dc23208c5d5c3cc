"""Which limits hold for whom, when windows begin and end, and what tokens cost."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from fireside.contracts.answer import Usage
from fireside.contracts.usage import NANO, LimitWindow
from fireside.core.identity import Identity, service_identity, user_identity
from fireside.core.ids import ApiKeyId, UserId, new_id
from fireside.runtime.metering import Limit, MeteringSettings, Price, Rules
from fireside.runtime.metering.rules import window_end, window_start

ANN, KEY = UserId(new_id()), ApiKeyId(new_id())
NOON = datetime(2026, 12, 31, 12, 34, 56, tzinfo=UTC)


def limit(scope: str, who: str = "*", **values: Any) -> Limit:
    return Limit.model_validate({"scope": scope, "who": who, "unit": "tokens", "window": "day", "amount": 10} | values)


def rules(*limits: Limit, **settings: Any) -> Rules:
    return Rules(MeteringSettings(limits=limits, **settings))


def ann(*roles: str, key: ApiKeyId | None = None) -> Identity:
    return user_identity(ANN, roles=roles, permissions=[], api_key_id=key)


def held_to(found: Rules, identity: Identity, model: str = "small") -> dict[str, int]:
    return {f"{item.scope} {item.who}": item.amount for item in found.applying(identity, model)}


def test_of_personal_limits_the_most_specific_holds_and_of_several_roles_the_larger() -> None:
    for_each, for_editors = limit("user", amount=10), limit("member", "editor", amount=20)
    for_staff, for_ann = limit("member", "staff", amount=30), limit("user", str(ANN), amount=5)

    assert held_to(rules(for_each), ann("editor")) == {f"user {ANN}": 10}
    assert held_to(rules(for_each, for_editors), ann("editor")) == {f"user {ANN}": 20}
    assert held_to(rules(for_each, for_staff, for_editors), ann("editor", "staff")) == {f"user {ANN}": 30}
    assert held_to(rules(for_staff, for_ann, for_each), ann("editor", "staff")) == {f"user {ANN}": 5}
    assert held_to(rules(for_editors), ann("user")) == {}


def test_limits_of_others_hold_beside_each_other() -> None:
    found = rules(limit("all", amount=1), limit("role", "user", amount=2), limit("key", amount=3), limit("user"))

    assert held_to(found, ann("user", key=KEY)) == {"all *": 1, "role user": 2, f"key {KEY}": 3, f"user {ANN}": 10}
    assert held_to(found, ann("viewer")) == {"all *": 1, f"user {ANN}": 10}


def test_a_part_of_fireside_is_held_to_the_limits_of_whom_it_acts_for_and_to_none_by_itself() -> None:
    found = rules(limit("all"), limit("key"))

    assert held_to(found, service_identity("respond", on_behalf_of=ann(key=KEY))) == {"all *": 10, f"key {KEY}": 10}
    assert held_to(found, service_identity("chat")) == {}


def test_a_limit_of_a_model_is_for_its_calls_alone() -> None:
    found = rules(limit("user", model="large", amount=1), limit("user", amount=2))

    assert [item.amount for item in found.applying(ann(), "large")] == [1, 2]
    assert [item.amount for item in found.applying(ann(), "small")] == [2]
    assert found.models == {"large"}


def test_changed_limits_hold_with_the_next_call() -> None:
    class Changing:
        limits = (limit("user", amount=1),)

    changing: Any = Changing()
    found = Rules(changing)
    assert held_to(found, ann()) == {f"user {ANN}": 1}

    changing.limits = (limit("user", amount=7),)

    assert held_to(found, ann()) == {f"user {ANN}": 7}


@pytest.mark.parametrize(
    "values",
    [
        {"scope": "role", "who": "*"},
        {"scope": "all", "who": "me"},
        {"scope": "user", "amount": -1},
        {"scope": "user", "unit": "words"},
        {"scope": "user", "window": "week"},
    ],
)
def test_a_limit_that_says_nothing_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        limit(**values)


def test_two_limits_of_one_name_are_refused() -> None:
    with pytest.raises(ValidationError, match=r"two limits user/\*/\*/tokens/day"):
        rules(limit("user", amount=1), limit("user", amount=2))


def test_windows_end_where_the_next_ones_begin() -> None:
    assert window_start("hour", NOON) == datetime(2026, 12, 31, 12, tzinfo=UTC)
    assert window_end("hour", NOON) == datetime(2026, 12, 31, 13, tzinfo=UTC)
    assert window_end("day", NOON) == window_end("month", NOON) == datetime(2027, 1, 1, tzinfo=UTC)
    assert window_start("month", NOON) == datetime(2026, 12, 1, tzinfo=UTC)


@given(at=st.datetimes(timezones=st.just(UTC)), window=st.sampled_from(["hour", "day", "month"]))
def test_every_moment_lies_in_its_window(at: datetime, window: LimitWindow) -> None:
    if at.year == 9999:
        return
    start, end = window_start(window, at), window_end(window, at)

    assert start <= at < end
    assert window_start(window, end) == end


def test_cached_tokens_cost_what_is_said_or_as_much_as_others() -> None:
    usage = Usage(prompt_tokens=1000, completion_tokens=100, total_tokens=1100, cached_tokens=400)
    cheap = Price(prompt=Decimal("2.5"), completion=Decimal(10), cached=Decimal("1.25"))
    plain = Price(prompt=Decimal("2.5"), completion=Decimal(10))
    found = rules(prices={"cheap": cheap, "plain": plain})

    assert found.cost_nano("cheap", usage) == round((600 * 2.5 + 400 * 1.25 + 100 * 10) * NANO / 1_000_000)
    assert found.cost_nano("plain", usage) == round((1000 * 2.5 + 100 * 10) * NANO / 1_000_000)
    assert found.cost_nano("other", usage) is None
