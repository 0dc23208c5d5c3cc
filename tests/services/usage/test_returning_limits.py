"""Limits that were away for a while count what was used without them."""

from contextlib import AbstractAsyncContextManager
from uuid import uuid4

import pytest

from fireside.adapters.usage_counters.memory import MemoryUsageCounters
from fireside.adapters.usage_counters.redis import RedisUsageCounters
from fireside.core.clock import SystemClock
from fireside.runtime.metering import Limit, LimitExceededError
from tests.databases import database_fixture
from tests.redis_servers import need_redis
from tests.runtime.metering.houses import MIGRATIONS, MeteredHouse, limit, metered_house, person
from tests.services.auth.house import ManualClock

database_url = database_fixture("usage", MIGRATIONS)


@pytest.mark.requirement("P19")
async def test_a_limit_that_comes_back_counts_what_was_used_without_it(database_url: str) -> None:
    for_each = limit("user", 3, unit="requests", window="hour")
    async with metered_house(database_url, MemoryUsageCounters(SystemClock()), for_each) as house:
        await house.ask()
        house.limit()
        await house.ask()
        house.limit(for_each)

        await house.ask()
        with pytest.raises(LimitExceededError):
            await house.ask()
        (left,) = (await house.own()).limits

    assert (left.used, left.remaining) == (3, 0)


@pytest.mark.requirement("P19")
async def test_a_limit_that_a_node_was_started_without_counts_what_was_used_meanwhile(database_url: str) -> None:
    prefix, clock, me = f"test-{uuid4().hex}", ManualClock(), person()
    for_each = limit("user", 3, unit="requests", window="hour")

    def node(*limits: Limit) -> AbstractAsyncContextManager[MeteredHouse]:
        counters = RedisUsageCounters(need_redis(), prefix=prefix)
        return metered_house(database_url, counters, *limits, clock=clock, me=me)

    async with node(for_each) as house:
        await house.ask()
    async with node() as house:
        await house.ask()
    async with node(for_each) as house:
        await house.ask()
        with pytest.raises(LimitExceededError):
            await house.ask()
        (left,) = (await house.own()).limits

    assert (left.used, left.remaining) == (3, 0)
