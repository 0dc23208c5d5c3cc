"""Sums of usage by user, model and day equal what the messages say that people got; also for who opted out."""

from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.journeys.conftest import new_user
from tests.journeys.test_roles import House, house

__all__ = ["house"]

PARTS = ("prompt_tokens", "completion_tokens")


def answers(house: House, key: str | None) -> list[dict[str, Any]]:
    """Every answer that a person has."""
    call = house.process.call
    conversations = call("GET", "/api/v1/conversations?limit=100", key=key)["items"]
    paths = [f"/api/v1/conversations/{one['id']}/messages?limit=100" for one in conversations]
    found = [message for path in paths for message in call("GET", path, key=key)["items"]]
    return [message for message in found if message["role"] == "assistant"]


def reported(house: House, by: str, *, key: str | None = None) -> dict[str, tuple[int, ...]]:
    """Requests, prompt tokens and completion tokens by group."""
    path = "/api/v1/admin/usage" if key is None else "/api/v1/usage"
    report = house.process.call("GET", f"{path}?group_by={by}", key=key)
    assert report["total"]["requests"] == sum(item["requests"] for item in report["items"])
    return {item["group"]: tuple(item[name] for name in ("requests", *PARTS)) for item in report["items"]}


def summed(messages: list[dict[str, Any]]) -> tuple[int, ...]:
    sums: Counter[str] = Counter()
    for message in messages:
        sums.update({name: message["usage"][name] for name in PARTS})
    return len(messages), *(sums[name] for name in PARTS)


@pytest.mark.requirement("I15")
def test_sums_by_user_model_and_day_equal_the_messages(house: House) -> None:
    begun = datetime.now(UTC)
    keys = (new_user(house.process), None)
    people = {house.process.call("GET", "/api/v1/auth/me", key=key)["id"]: key for key in keys}
    for round_, model in enumerate(("first", "second", "second")):
        house.choose(model)
        for key in people.values():
            body = {"mode": "general"}
            conversation = house.process.call("POST", "/api/v1/conversations", body, key=key)["id"]
            house.ask(conversation, " ".join(["hello"] * (round_ + 2)), key=key)

    by_person = {person: answers(house, key) for person, key in people.items()}
    all_answers = [answer for found in by_person.values() for answer in found]
    assert {person: len(found) for person, found in by_person.items()} == dict.fromkeys(people, 3)
    assert all(answer["usage"]["completion_tokens"] for answer in all_answers)

    assert reported(house, "user") == {person: summed(found) for person, found in by_person.items()}
    assert reported(house, "model") == {
        model: summed([answer for answer in all_answers if answer["model"] == model]) for model in ("first", "second")
    }
    days = reported(house, "day")
    assert set(days) <= {f"{moment:%Y-%m-%d}" for moment in (begun, datetime.now(UTC))}
    assert tuple(map(sum, zip(*days.values(), strict=True))) == summed(all_answers)

    (person, key), (other, _) = people.items()
    house.process.call("PUT", "/api/v1/usage/opt-out", {"opted_out": True}, key=key)
    assert reported(house, "user") == {"opted-out": summed(by_person[person]), other: summed(by_person[other])}
    assert reported(house, "model", key=key) == {
        model: summed([answer for answer in by_person[person] if answer["model"] == model])
        for model in ("first", "second")
    }
