"""Counters that nodes share, while their server is away and when it is back."""

import asyncio

import pytest

from fireside.adapters.usage_counters.memory import MemoryUsageCounters
from fireside.core.clock import Clock, SystemClock
from fireside.ports.usage_counters import Claim, Level, Reserved, Settlement, UsageCountersError
from fireside.runtime.metering import SharedOrOwnCounters
from tests.services.auth.house import ManualClock


class Fragile(MemoryUsageCounters):
    """Shared counters that a test takes away; `deaf` loses the answer to what it does."""

    away = deaf = False

    async def settle(self, reservation: str, settlements: object) -> None:
        self._look_alive()
        await super().settle(reservation, settlements)  # type: ignore[arg-type] - as it came
        if self.deaf:
            raise UsageCountersError("no answer")

    async def reserve(self, *arguments: object, **named: object) -> Reserved:
        self._look_alive()
        return await super().reserve(*arguments, **named)  # type: ignore[arg-type] - as it came

    async def look(self, keys: object) -> list[Level | None]:
        self._look_alive()
        return await super().look(keys)  # type: ignore[arg-type] - as it came

    async def forget(self, group: str) -> None:
        self._look_alive()
        await super().forget(group)

    def _look_alive(self) -> None:
        if self.away:
            raise UsageCountersError("away")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def shared() -> Fragile:
    counters = Fragile(SystemClock())
    await counters.seed("a", 10, ttl_s=1000)
    return counters


@pytest.fixture
def both(shared: Fragile, clock: ManualClock) -> SharedOrOwnCounters:
    return SharedOrOwnCounters(shared=shared, own=MemoryUsageCounters(clock), clock=clock)


async def test_without_the_server_a_node_counts_alone_from_what_is_stored(
    both: SharedOrOwnCounters, shared: Fragile
) -> None:
    shared.away = True

    assert await both.reserve("1", [Claim("a", 5, 20)], lease_s=60) == Reserved(unknown=("a",))
    await both.seed("a", 12, ttl_s=1000)
    assert await both.reserve("1", [Claim("a", 5, 20)], lease_s=60) == Reserved()
    assert await both.reserve("2", [Claim("a", 5, 20)], lease_s=60) == Reserved(full=(("a", Level(12, 5)),))
    assert (await both.check()).status == "degraded"


async def test_what_was_used_meanwhile_is_paid_when_the_server_is_back(
    both: SharedOrOwnCounters, shared: Fragile, clock: ManualClock
) -> None:
    await both.reserve("before", [Claim("a", 4, 100)], lease_s=60)
    shared.away = True
    await both.settle("before", [Settlement("a", held=4, used=3)])
    await both.settle("alone", [Settlement("a", held=0, used=2)])
    shared.away = False
    clock.pass_time(seconds=2)

    (level,) = await both.look(["a"])

    assert level is not None
    assert level.used == 15
    assert (await both.check()).status == "ok"


async def test_a_payment_without_an_answer_is_made_once(
    both: SharedOrOwnCounters, shared: Fragile, clock: ManualClock
) -> None:
    shared.away = True
    await both.settle("alone", [Settlement("a", held=0, used=2)])
    shared.away, shared.deaf = False, True
    clock.pass_time(seconds=2)
    await both.look(["a"])
    shared.deaf = False
    clock.pass_time(seconds=2)

    assert await both.look(["a"]) == [Level(12, 0)]


async def test_who_is_forgotten_meanwhile_is_forgotten_by_the_server_when_it_is_back(
    both: SharedOrOwnCounters, shared: Fragile, clock: ManualClock
) -> None:
    await both.seed("b", 3, ttl_s=1000, groups=["ann"])
    shared.away = True
    await both.look(["b"])
    await both.seed("b", 3, ttl_s=1000, groups=["ann"])
    await both.forget("ann")
    assert await both.look(["b"]) == [None]
    shared.away = False
    clock.pass_time(seconds=2)

    assert await both.look(["a", "b"]) == [Level(10, 0), None]


class Waiting(Fragile):
    """What is settled waits until a test lets it through."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.payments = 0
        self.is_paying, self.may_pay = asyncio.Event(), asyncio.Event()

    async def settle(self, reservation: str, settlements: object) -> None:
        self._look_alive()
        self.payments += 1
        self.is_paying.set()
        await self.may_pay.wait()
        await super().settle(reservation, settlements)


async def owing(clock: ManualClock) -> tuple[SharedOrOwnCounters, Waiting]:
    """Counters that owe 2, to a server that is back."""
    shared = Waiting(SystemClock())
    await shared.seed("a", 10, ttl_s=1000)
    both = SharedOrOwnCounters(shared=shared, own=MemoryUsageCounters(clock), clock=clock)
    shared.away = True
    await both.settle("alone", [Settlement("a", held=0, used=2)])
    shared.away = False
    clock.pass_time(seconds=2)
    return both, shared


async def test_many_who_ask_when_the_server_is_back_pay_what_is_owed_once(clock: ManualClock) -> None:
    both, shared = await owing(clock)
    asking = [asyncio.create_task(both.reserve(str(n), [Claim("a", 1, 100)], lease_s=60)) for n in range(5)]
    await shared.is_paying.wait()
    shared.may_pay.set()

    assert await asyncio.gather(*asking) == [Reserved()] * 5
    assert shared.payments == 1
    assert await both.look(["a"]) == [Level(12, 5)]


async def test_those_who_wait_for_a_return_that_fails_go_on_alone(clock: ManualClock) -> None:
    both, shared = await owing(clock)
    asking = [asyncio.create_task(both.look(["a"])) for _ in range(5)]
    await shared.is_paying.wait()
    shared.away = True
    shared.may_pay.set()

    assert await asyncio.gather(*asking) == [[None]] * 5
    assert shared.payments == 1


async def test_what_is_used_after_a_payment_without_an_answer_is_paid_too(
    both: SharedOrOwnCounters, shared: Fragile, clock: ManualClock
) -> None:
    shared.away = True
    await both.settle("1", [Settlement("a", held=0, used=2)])
    shared.away, shared.deaf = False, True
    clock.pass_time(seconds=2)
    await both.look(["a"])
    await both.settle("2", [Settlement("a", held=0, used=1000)])
    shared.deaf = False
    clock.pass_time(seconds=2)

    assert await both.look(["a"]) == [Level(1012, 0)]


async def test_what_comes_to_be_owed_during_a_payment_is_paid_with_it(clock: ManualClock) -> None:
    both, shared = await owing(clock)
    late = asyncio.create_task(both.look(["a"]))
    await shared.is_paying.wait()
    clock.pass_time(seconds=-2)  # the pause begins anew for one who asked before and has no answer
    await both.settle("2", [Settlement("a", held=0, used=1000)])
    clock.pass_time(seconds=2)
    shared.may_pay.set()

    assert await late == [Level(1012, 0)]
    assert (await both.check()).status == "ok"
