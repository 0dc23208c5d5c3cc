"""What is left of the usage of a user who is gone: sums without a name, and no counter."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import select

from fireside.adapters.usage_counters.memory import MemoryUsageCounters
from fireside.contracts import usage
from fireside.contracts.auth_facts import UserDeleted
from fireside.contracts.usage import ERASED, RecordUsage, UsageRow, UserErased
from fireside.core.clock import SystemClock
from fireside.core.identity import Identity, service_identity
from fireside.core.ids import ApiKeyId, new_id
from fireside.runtime.durable import Database
from fireside.runtime.metering import LimitExceededError
from fireside.services.usage import repository
from fireside.services.usage.service import UsageService
from fireside.services.usage.tables import erased_users, hours
from fireside.testing.durable import eventually
from tests.databases import BOTH, database_fixture
from tests.runtime.metering.houses import MIGRATIONS, MeteredHouse, limit, metered_house, person

database_url = database_fixture("usage", MIGRATIONS, technologies=BOTH)
KEY = ApiKeyId(new_id())
ANN, BOB = person("user", key=KEY), person("user")
LIMITS = (
    limit("user", 5, unit="requests"),
    limit("key", 9, unit="requests"),
    limit("role", 9, unit="requests", who="user"),
    limit("all", 9, unit="requests"),
)


@pytest.fixture
async def house(database_url: str) -> AsyncIterator[MeteredHouse]:
    """Ann used three requests in two hours, partly with a key; Bob one."""
    async with metered_house(database_url, MemoryUsageCounters(SystemClock()), *LIMITS) as house:
        await house.ask(who=ANN)
        await house.ask(who=BOB)
        await house.ask(who=ANN)
        house.clock.pass_time(hours=1)
        await house.ask(who=ANN)
        await house.meter.write()
        yield house


def database(house: MeteredHouse) -> Database:
    (service,) = [one for one in house.node.services if isinstance(one, UsageService)]
    return service.database


async def rows(house: MeteredHouse, table: Any = hours) -> list[Any]:
    async with database(house).read() as session:
        return list(await session.execute(select(table)))


async def tell(house: MeteredHouse, who: Identity = ANN) -> None:
    """Have the account be deleted, as the auth service says it."""
    async with database(house).transaction() as unit:
        unit.emit(UserDeleted(user_id=who.require_user(), api_key_ids=(KEY,)))


async def erased(house: MeteredHouse) -> None:
    """Wait until the service has heard of it."""

    async def look() -> Any:
        return await rows(house, erased_users) or None

    assert [row.user_id for row in await eventually(look)] == [str(ANN.user_id)]


async def forgotten(house: MeteredHouse, *keys: str) -> None:
    """Wait until these counters are not known."""

    async def look() -> Any:
        return True if set(await house.meter.counters.look(keys)) == {None} else None

    await eventually(look)


def row_of(house: MeteredHouse, who: Identity) -> UsageRow:
    zeros = dict.fromkeys(
        ("prompt_tokens", "completion_tokens", "cached_tokens", "cost_nano", "estimated", "unpriced"), 0
    )
    hour = house.clock.now().replace(minute=0)
    ids = {"user_id": str(who.user_id), "api_key_id": str(who.api_key_id or "")}
    return UsageRow(hour=hour, roles="user", model="small", requests=1, **ids, **zeros)


@pytest.mark.requirement("D9", "I15")
async def test_sums_stay_without_the_person_and_the_fact_may_come_twice(house: MeteredHouse) -> None:
    before = (await house.report("model")).total
    for _ in range(2):
        await tell(house)
    await erased(house)
    async with database(house).transaction() as unit:
        await repository.erase_user(unit.session, str(ANN.user_id))
    await house.ask(who=BOB)
    after, by_user, by_key = [await house.report(by) for by in ("model", "user", "key")]

    assert str(ANN.user_id) not in str(await rows(house))
    assert str(KEY) not in str(await rows(house))
    assert {item.group: item.requests for item in by_user.items} == {ERASED: 3, str(BOB.user_id): 2}
    assert {item.group: item.requests for item in by_key.items} == {"": 5}
    assert after.total.requests == before.requests + 1
    assert after.total.prompt_tokens == before.prompt_tokens + 3
    assert after.total.cost == before.cost


@pytest.mark.requirement("D9")
async def test_what_is_told_late_is_stored_without_the_person(house: MeteredHouse) -> None:
    await tell(house)
    await erased(house)

    asking = house.node.context(identity=service_identity("inference"))
    for batch in ("one", "one", "two"):
        await asking.call(usage.RECORD, RecordUsage(batch=batch, rows=(row_of(house, ANN), row_of(house, BOB))))

    assert {item.group: item.requests for item in (await house.report("user")).items} == {
        ERASED: 5,
        str(BOB.user_id): 3,
    }


@pytest.mark.requirement("D9")
async def test_what_is_being_stored_meanwhile_loses_the_person_too(house: MeteredHouse) -> None:
    async with database(house).transaction() as unit:
        await repository.add(unit.session, [row_of(house, ANN)])
        await tell_aside(house)
        await asyncio.sleep(0.1)

    await erased(house)
    assert str(ANN.user_id) not in str(await rows(house))
    assert sum(row.requests for row in await rows(house)) == 5


_ASIDE: set[asyncio.Task[None]] = set()


async def tell_aside(house: MeteredHouse) -> None:
    """Begin to erase while another transaction is open."""

    async def erase() -> None:
        async with database(house).transaction() as unit:
            await repository.erase_user(unit.session, str(ANN.user_id))

    task = asyncio.create_task(erase())
    _ASIDE.add(task)
    task.add_done_callback(_ASIDE.discard)


@pytest.mark.requirement("D9", "P19")
async def test_counters_of_the_person_go_and_those_of_everybody_still_know_what_was_used(
    house: MeteredHouse,
) -> None:
    counters, now = house.meter.counters, house.clock.now()
    keys = {item.scope: item.key(now) for item in house.meter.rules.applying(ANN, "small")}
    assert None not in await counters.look(list(keys.values()))

    await tell(house)
    await erased(house)
    await forgotten(house, keys["user"], keys["key"])

    levels = await counters.look([keys["role"], keys["all"]])
    assert [level.used for level in levels if level] == [4, 4]
    assert [state.used for state in (await house.own(BOB)).limits if state.scope == "all"] == [4]


@pytest.mark.requirement("D9")
async def test_every_node_forgets_its_own_counters(house: MeteredHouse) -> None:
    """The signal reaches nodes that do not host the usage service."""
    counters = house.meter.counters
    (key,) = [item.key(house.clock.now()) for item in house.meter.rules.applying(ANN, "small") if item.scope == "user"]
    assert await counters.look([key]) != [None]

    await house.node.context(identity=service_identity("usage")).broadcast(UserErased(user_id=ANN.require_user()))

    await forgotten(house, key)


@pytest.mark.requirement("P19")
async def test_a_limit_of_everybody_still_counts_what_they_used_when_its_counter_is_made_anew(
    house: MeteredHouse,
) -> None:
    await tell(house)
    await erased(house)
    await house.meter.counters.aclose()
    house.limit(limit("all", 5, unit="requests"), limit("role", 5, unit="requests", who="user", window="month"))

    await house.ask(who=BOB)
    with pytest.raises(LimitExceededError):
        await house.ask(who=BOB)
