"""Counters of usage keep the port's promises, in memory and on Redis."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
from redis.asyncio import Redis

from fireside.adapters.usage_counters.memory import MemoryUsageCounters
from fireside.adapters.usage_counters.redis import RedisUsageCounters
from fireside.ports.usage_counters import Claim, Level, Reserved, Settlement, UsageCountersError
from fireside.testing.conformance.usage_counters import HOUR_S, UsageCountersConformance, Wait
from tests.redis_servers import need_redis
from tests.services.auth.house import ManualClock


class TestMemory(UsageCountersConformance):
    @pytest.fixture
    def clock(self) -> ManualClock:
        return ManualClock()

    @pytest.fixture
    def counters(self, clock: ManualClock) -> MemoryUsageCounters:
        return MemoryUsageCounters(clock)

    @pytest.fixture
    def wait(self, clock: ManualClock) -> Wait:
        async def wait(seconds: float) -> None:
            clock.pass_time(seconds=seconds)

        return wait

    async def test_counters_whose_time_is_over_leave_no_trace(
        self, counters: MemoryUsageCounters, clock: ManualClock
    ) -> None:
        for number in range(100):
            await counters.seed(f"user {number}", 0, ttl_s=60)
        clock.pass_time(minutes=3)
        await counters.seed("user new", 0, ttl_s=60)
        await counters.settle("1", [Settlement("user new", held=0, used=1)])

        assert counters.keys == ("user new",)


class TestRedis(UsageCountersConformance):
    @pytest.fixture
    def prefix(self) -> str:
        return f"test-{uuid4().hex}"

    @pytest.fixture
    async def counters(self, prefix: str) -> AsyncIterator[RedisUsageCounters]:
        counters = RedisUsageCounters(need_redis(), prefix=prefix)
        yield counters
        await counters.aclose()

    @pytest.fixture
    def wait(self) -> Wait:
        return asyncio.sleep

    @pytest.mark.requirement("P19")
    async def test_bursts_at_two_nodes_hold_no_more_than_the_limit(
        self, counters: RedisUsageCounters, prefix: str
    ) -> None:
        other = RedisUsageCounters(need_redis(), prefix=prefix)
        await counters.seed("a", 0, ttl_s=HOUR_S)

        answers = await asyncio.gather(
            *((counters, other)[n % 2].reserve(str(n), [Claim("a", 1, 100)], lease_s=60) for n in range(240))
        )

        assert sum(answer == Reserved() for answer in answers) == 100
        assert await other.look(["a"]) == [Level(0, 100)]
        await other.aclose()

    async def test_large_amounts_are_counted_to_the_last_digit(self, counters: RedisUsageCounters) -> None:
        await counters.seed("cost", 7_000_000_000_000_001, ttl_s=HOUR_S)
        await counters.reserve("1", [Claim("cost", 1_000_000_000_001, 9_000_000_000_000_000)], lease_s=60)
        await counters.settle("1", [Settlement("cost", held=1_000_000_000_001, used=999_999_999_999)])

        assert await counters.look(["cost"]) == [Level(7_001_000_000_000_000, 0)]

    async def test_every_key_goes_by_itself(self, counters: RedisUsageCounters, prefix: str) -> None:
        await counters.seed("a", 0, ttl_s=HOUR_S, groups=["ann"])
        await counters.reserve("1", [Claim("a", 1, 5)], lease_s=60)
        await counters.settle("1", [Settlement("a", held=0, used=1)])
        redis: Any = Redis.from_url(need_redis())

        names = [name async for name in redis.scan_iter(f"*{prefix}*")]

        assert len(names) == 4
        assert all([await redis.pttl(name) > 0 for name in names])
        await counters.forget("ann")
        left = [name async for name in redis.scan_iter(f"*{prefix}*")]
        assert [name for name in left if b"settled" not in name] == []
        await redis.aclose()

    async def test_a_server_that_is_not_there_is_an_error_without_passwords(self) -> None:
        counters = RedisUsageCounters("redis://fireside:hunter2@127.0.0.1:1/0")

        with pytest.raises(UsageCountersError) as failed:
            await counters.look(["a"])

        assert "hunter2" not in str(failed.value)
        await counters.aclose()
