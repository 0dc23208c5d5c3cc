"""Moving windows keep the port's promises, in memory and on Redis."""

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from fireside.adapters.rate_windows.memory import MemoryRateWindows
from fireside.adapters.rate_windows.redis import RedisRateWindows
from fireside.ports.rate_windows import RateWindowsError
from fireside.testing.conformance.rate_windows import RateWindowsConformance, Wait
from tests.redis_servers import need_redis
from tests.services.auth.house import ManualClock


class TestMemory(RateWindowsConformance):
    @pytest.fixture
    def clock(self) -> ManualClock:
        return ManualClock()

    @pytest.fixture
    def windows(self, clock: ManualClock) -> MemoryRateWindows:
        return MemoryRateWindows(clock)

    @pytest.fixture
    def wait(self, clock: ManualClock) -> Wait:
        async def wait(seconds: float) -> None:
            clock.pass_time(seconds=seconds)

        return wait

    async def test_windows_that_have_run_out_are_forgotten(
        self, windows: MemoryRateWindows, clock: ManualClock
    ) -> None:
        for number in range(100):
            await windows.hit(f"anonymous/{number}", limit=5, window_s=60)
        clock.pass_time(minutes=3)
        await windows.hit("anonymous/new", limit=5, window_s=60)

        assert windows.keys == ("anonymous/new",)


class TestRedis(RateWindowsConformance):
    @pytest.fixture
    def prefix(self) -> str:
        return f"test-{uuid4().hex}"

    @pytest.fixture
    async def windows(self, prefix: str) -> AsyncIterator[RedisRateWindows]:
        windows = RedisRateWindows(need_redis(), prefix=prefix)
        yield windows
        await windows.aclose()

    @pytest.fixture
    def wait(self) -> Wait:
        return asyncio.sleep

    @pytest.mark.requirement("P19")
    async def test_a_burst_at_two_nodes_at_once_gets_no_more_than_the_limit(
        self, windows: RedisRateWindows, prefix: str
    ) -> None:
        other = RedisRateWindows(need_redis(), prefix=prefix)

        answers = await asyncio.gather(
            *((windows, other)[number % 2].hit("a", limit=100, window_s=5) for number in range(240))
        )

        assert sum(answer.admitted for answer in answers) == 100
        await other.aclose()

    async def test_a_server_that_is_not_there_is_an_error_without_passwords(self) -> None:
        windows = RedisRateWindows("redis://fireside:hunter2@127.0.0.1:1/0")

        with pytest.raises(RateWindowsError) as failed:
            await windows.hit("a", limit=1, window_s=1)

        assert "hunter2" not in str(failed.value)
        await windows.aclose()
