"""Whatever calls do at once, limits hold and what is counted equals what is stored."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fireside.adapters.usage_counters.memory import MemoryUsageCounters
from fireside.contracts.answer import Usage
from fireside.contracts.base import Nothing
from fireside.contracts.usage import RECORD, SUMS, RecordUsage, UsageRow, UsageSums, UsedAmounts
from fireside.core.errors import (
    DeadlineExceededError,
    FiresideError,
    InternalError,
    InvalidInputError,
    UnavailableError,
)
from fireside.ports.usage_counters import Claim, Level, Reserved, Settlement
from fireside.runtime.mesh import Context, Node, Service, action
from fireside.runtime.metering import Expected, LimitExceededError, Meter, MeteringSettings
from fireside.runtime.metering.rules import Rules
from fireside.testing.mesh import local_node
from tests.runtime.metering.houses import ChangingSettings, limit, person
from tests.services.auth.house import ManualClock

LIMIT = 300


class Stored(Service):
    """Stands for the usage service; `away` has it refuse, with the error `trouble`."""

    name = "usage"
    away = False
    trouble: FiresideError = UnavailableError("away")

    def __init__(self) -> None:
        self.rows: list[UsageRow] = []
        self.batches: list[str] = []
        self.refused = -1
        self.meanwhile: Callable[[], Awaitable[object]] | None = None

    @action(RECORD)
    async def record(self, _context: Context, request: RecordUsage) -> Nothing:
        self._look_alive()
        if self.meanwhile is not None:
            await self.meanwhile()
        self.batches.append(request.batch)
        if any(row.completion_tokens == self.refused for row in request.rows):
            raise InvalidInputError("this does not fit")
        self.rows.extend(request.rows)
        return Nothing()

    @action(SUMS)
    async def sums(self, _context: Context, request: UsageSums) -> UsedAmounts:
        self._look_alive()
        used = {"requests": sum(row.requests for row in self.rows), "tokens": self.tokens}
        return UsedAmounts(amounts=tuple(used[item.unit] for item in request.items))

    @property
    def tokens(self) -> int:
        return sum(row.prompt_tokens + row.completion_tokens for row in self.rows)

    def _look_alive(self) -> None:
        if self.away:
            raise self.trouble


def metered(*limits: object, counters: MemoryUsageCounters | None = None) -> Meter:
    clock = ManualClock()
    chosen = MeteringSettings.model_validate({"limits": limits})
    return Meter(settings=chosen, counters=counters or MemoryUsageCounters(clock), clock=clock)


async def call(meter: Meter, context: Context, prompt: int, longest: int, used: int | None, turns: int) -> bool:
    """A call that uses so much after so many turns of the loop, or fails before it begins; whether there was room."""
    try:
        async with meter.measure(context, "m", lambda: Expected(3 * prompt, longest, 10_000)) as measured:
            for _ in range(turns):
                await asyncio.sleep(0)
            if used is not None:
                measured.used(Usage(prompt_tokens=prompt, completion_tokens=used, total_tokens=prompt + used))
    except LimitExceededError:
        return False
    return True


Plan = tuple[int, int, int | None, int]


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    prompt, longest = draw(st.integers(1, 60)), draw(st.integers(1, 60))
    return prompt, longest, draw(st.none() | st.integers(1, longest)), draw(st.integers(0, 5))


async def run(waves: Sequence[Sequence[Plan]]) -> None:
    stored, meter, someone = Stored(), metered(limit("user", LIMIT), limit("all", 9, unit="requests")), person()
    async with local_node(meter, stored) as node:
        context = node.context(identity=someone)
        for wave in waves:
            await asyncio.gather(*(call(meter, context, *plan) for plan in wave))
            await meter.write()
            assert stored.tokens <= LIMIT
            assert sum(row.requests for row in stored.rows) <= 9
        applied = meter.rules.applying(someone, "m")
        levels = await meter.counters.look([item.key(ManualClock().now()) for item in applied])
    shown = {item.limit.unit: level for item, level in zip(applied, levels, strict=True) if level is not None}
    assert {unit: level.used for unit, level in shown.items()} in (
        {},
        {"tokens": stored.tokens, "requests": sum(row.requests for row in stored.rows)},
    )
    assert all(level.held == 0 for level in shown.values())


@pytest.mark.requirement("P19", "I15")
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(waves=st.lists(st.lists(plans(), max_size=12), max_size=3))
def test_limits_hold_and_counters_equal_what_is_stored(waves: list[list[Plan]]) -> None:
    asyncio.run(run(waves))


@pytest.fixture
def stored() -> Stored:
    return Stored()


async def used_once(node: Node, meter: Meter) -> bool:
    return await call(meter, node.context(identity=person()), 1, 1, 1, 0)


async def test_what_is_used_while_others_is_stored_waits_for_the_next_time(stored: Stored) -> None:
    meter = metered()
    async with local_node(meter, stored) as node:
        stored.meanwhile = lambda: used_once(node, meter)
        await used_once(node, meter)
        await asyncio.wait_for(meter.write(), 5)
        assert len(stored.rows) == 1

        stored.meanwhile = None
        await meter.write()
        assert len(stored.rows) == 2


async def test_without_limits_nobody_waits_for_anything() -> None:
    meter = metered()
    async with local_node(meter, Stored()) as node:
        measuring = meter.measure(node.context(identity=person()), "m", lambda: Expected(1, 1, 1))
        entering = measuring.__aenter__()
        with pytest.raises(StopIteration):
            entering.send(None)
        leaving = measuring.__aexit__(None, None, None)
        with pytest.raises(StopIteration):
            leaving.send(None)


class Slow(MemoryUsageCounters):
    """Holds room at once, and says so only when a test lets it."""

    def __init__(self) -> None:
        super().__init__(ManualClock())
        self.held, self.answer = asyncio.Event(), asyncio.Event()

    async def reserve(self, reservation: str, claims: Sequence[Claim], *, lease_s: float) -> Reserved:
        found = await super().reserve(reservation, claims, lease_s=lease_s)
        if found == Reserved():
            self.held.set()
            await self.answer.wait()
        return found


async def test_whoever_leaves_while_room_is_asked_for_holds_none() -> None:
    counters = Slow()
    meter = metered(limit("all", 5, unit="requests"), counters=counters)
    async with local_node(meter, Stored()) as node:
        asking = asyncio.create_task(used_once(node, meter))
        async with asyncio.timeout(10):
            await counters.held.wait()
        assert await counters.look(counters.keys) == [Level(0, 1)]
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await asyncio.sleep(0)  # the settlement has its turn

        assert await counters.look(counters.keys) == [Level(0, 0)]


class Distant(MemoryUsageCounters):
    """Settles when a test lets it; the answer comes later still."""

    def __init__(self) -> None:
        super().__init__(ManualClock())
        self.is_settling, self.settles, self.answers = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def settle(self, reservation: str, settlements: Sequence[Settlement]) -> None:
        self.is_settling.set()
        await self.settles.wait()
        await super().settle(reservation, settlements)
        await self.answers.wait()


@pytest.mark.parametrize("has_settled", [False, True])
@pytest.mark.parametrize("is_limited_before", [False, True])
async def test_whoever_leaves_while_a_call_is_settled_has_used_it_once(
    stored: Stored, has_settled: bool, is_limited_before: bool
) -> None:
    counters, limits, someone = Distant(), (limit("all", 50),), person()
    chosen: Any = ChangingSettings(MeteringSettings(limits=limits if is_limited_before else ()))
    meter = Meter(settings=chosen, counters=counters, clock=ManualClock())

    async with local_node(meter, stored) as node:
        (applied,) = Rules(MeteringSettings(limits=limits)).applying(someone, "m")
        key = applied.key(ManualClock().now())
        await counters.seed(key, 0, ttl_s=3600)
        settling = asyncio.create_task(call(meter, node.context(identity=someone), 1, 9, 4, 1))
        await asyncio.sleep(0)
        chosen.now = MeteringSettings(limits=limits)
        async with asyncio.timeout(10):
            await counters.is_settling.wait()
        if has_settled:
            counters.settles.set()
            await asyncio.sleep(0)
        settling.cancel()
        await asyncio.gather(settling, return_exceptions=True)
        counters.settles.set()
        counters.answers.set()

    assert await counters.look([key]) == [Level(5, 0)]
    assert [row.requests for row in stored.rows] == [1]


async def test_what_cannot_be_stored_is_kept_and_told(stored: Stored) -> None:
    meter = metered()
    stored.away = True
    async with local_node(meter, stored) as node:
        await used_once(node, meter)
        async with asyncio.timeout(10):
            while not await meter.health():
                await asyncio.sleep(0.01)
        stored.away = False
        await used_once(node, meter)
    assert sum(row.requests for row in stored.rows) == 2


async def test_an_absurd_number_of_tokens_is_bounded(stored: Stored) -> None:
    meter = metered()
    async with local_node(meter, stored) as node:
        await call(meter, node.context(identity=person()), 1, 1, 10**30, 0)

    assert [row.completion_tokens for row in stored.rows] == [10**9]


async def test_a_line_that_no_database_takes_holds_up_no_others(stored: Stored) -> None:
    clock, prices = ManualClock(), {"m": {"completion": 10**9}}
    chosen = MeteringSettings.model_validate({"prices": prices})
    meter = Meter(settings=chosen, counters=MemoryUsageCounters(clock), clock=clock)
    async with local_node(meter, stored) as node:
        for used in (10**9, 5):
            await call(meter, node.context(identity=person()), 1, 1, used, 0)
        await asyncio.wait_for(meter.write(), 5)

        assert [row.completion_tokens for row in stored.rows] == [5]
        assert await meter.health() == {}


async def test_lines_that_are_refused_for_what_they_say_hold_up_no_others(stored: Stored) -> None:
    meter = metered()
    async with local_node(meter, stored) as node:
        stored.refused = 3
        for used in (1, 2, 3, 4, 5):
            await call(meter, node.context(identity=person()), 1, 1, used, 0)
        await asyncio.wait_for(meter.write(), 5)

        assert [row.completion_tokens for row in stored.rows] == [1, 2, 4, 5]
        assert len(set(stored.batches)) == len(stored.batches)
        assert await meter.health() == {}


TROUBLES = [UnavailableError("away"), DeadlineExceededError("too late"), InternalError("database is locked")]


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_a_limit_that_cannot_be_counted_refuses_for_a_while(stored: Stored, trouble: FiresideError) -> None:
    meter = metered(limit("user", LIMIT))
    stored.away, stored.trouble = True, trouble
    async with local_node(meter, stored) as node:
        with pytest.raises(UnavailableError, match=f"what was used until now.*{trouble.message}"):
            await used_once(node, meter)
        stored.away = False
        assert await used_once(node, meter)


async def test_counters_that_are_lost_begin_anew_from_what_is_stored(stored: Stored) -> None:
    counters = MemoryUsageCounters(ManualClock())
    meter = metered(limit("all", 2, unit="requests"), counters=counters)
    async with local_node(meter, stored) as node:
        assert await used_once(node, meter)
        await counters.aclose()
        assert await used_once(node, meter)
        await counters.aclose()
        assert not await used_once(node, meter)


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_a_node_that_starts_while_what_is_stored_cannot_be_asked_goes_on_with_counters_that_are_known(
    stored: Stored, trouble: FiresideError
) -> None:
    counters, for_all = MemoryUsageCounters(ManualClock()), limit("all", 2, unit="requests")
    before, after = metered(for_all, counters=counters), metered(for_all, counters=counters)
    async with local_node(before, stored) as node:
        assert await used_once(node, before)
    away = Stored()
    away.away, away.trouble = True, trouble
    async with local_node(after, away) as node:
        assert await used_once(node, after)
        assert not await used_once(node, after)
