"""Limits of a user who is gone go with the account, and those of everybody else stay."""

from typing import Any

import pytest

from fireside.contracts.auth_facts import UserDeleted
from fireside.contracts.usage import LIMITS_SETTING
from fireside.core.ids import ApiKeyId, UserId, new_id
from fireside.testing.durable import eventually
from tests.databases import on_both_databases
from tests.services.admin.conftest import RATE, Office

GONE, KEY = UserId(new_id()), ApiKeyId(new_id())


def limit(scope: str, who: str) -> dict[str, Any]:
    return {"scope": scope, "who": who, "unit": "requests", "window": "day", "amount": 5}


async def subjects(office: Office) -> set[tuple[str, str]]:
    value: Any = (await office.setting(LIMITS_SETTING)).value
    return {(one["scope"], one["who"]) for one in value}


@on_both_databases
@pytest.mark.requirement("D9")
async def test_limits_of_a_user_who_is_gone_and_of_their_keys_go(office: Office) -> None:
    staying = {("user", "*"), ("user", str(new_id())), ("key", str(new_id())), ("member", "viewer")}
    going = {("user", str(GONE)), ("key", str(KEY))}
    await office.change({LIMITS_SETTING: [limit(*one) for one in sorted(staying | going)], RATE: "5/minute"})

    async def gone() -> bool | None:
        return True if await subjects(office) == staying else None

    for _ in range(2):
        async with office.database.transaction() as unit:
            unit.emit(UserDeleted(user_id=GONE, api_key_ids=(KEY,)))
    await eventually(gone, within_s=20)

    assert (await office.setting(RATE)).value == "5/minute"
    assert len(await office.log("admin.config_changed")) == 2


async def test_whom_no_limit_names_changes_nothing(office: Office) -> None:
    made = await office.change({RATE: "5/minute"})

    async with office.database.transaction() as unit:
        unit.emit(UserDeleted(user_id=GONE))
        unit.emit(UserDeleted(user_id=GONE))

    async def handled() -> bool | None:
        return True if len(await office.log(UserDeleted.topic)) == 2 else None

    await eventually(handled, within_s=20)
    await office.change({RATE: "6/minute"}, expected_version=made.version)
    assert (await office.setting(LIMITS_SETTING)).source == "default"
