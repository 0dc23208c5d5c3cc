import asyncio
from contextlib import suppress
from typing import Any

import pytest

from fireside.core.errors import DeadlineExceededError, NotFoundError, UnavailableError, error_from_dict
from fireside.runtime.breaker import BreakerPolicy
from fireside.runtime.errors import CircuitOpenError, OverloadedError, PartOf, failed_part
from fireside.runtime.metrics import Metrics
from fireside.runtime.middleware.base import Place
from fireside.runtime.middleware.breaker import BreakerMiddleware
from fireside.runtime.middleware.timeout import TimeoutMiddleware

from .parts import (
    Answer,
    Ask,
    HandClock,
    LoopClock,
    Script,
    StreamScript,
    a_context,
    a_stream,
    an_action,
    collect,
    some_metrics,
    target,
    value,
)

CLOSED, HALF_OPEN, OPEN = 0, 1, 2


class Guarded:
    """An action behind a breaker that opens after three failures, for ten seconds."""

    def __init__(self, clock: Any = None) -> None:
        self.clock = clock or HandClock()
        self.metrics: Metrics = some_metrics()
        self.script = Script(Answer())
        middleware = BreakerMiddleware(self.metrics, self.clock, BreakerPolicy(failures=3, open_s=10.0))
        self.handler = middleware.wrap(target(an_action()), self._run)

    async def _run(self, context: Any, request: Any) -> Any:
        return await self.script(context, request)

    async def call(self, *steps: Any) -> Any:
        if steps:
            self.script = Script(*steps)
        return await self.handler(a_context(clock=self.clock), Ask())

    async def fail(self, times: int = 1, error: Exception | None = None) -> None:
        for _ in range(times):
            with pytest.raises((UnavailableError, NotFoundError, ValueError)):
                await self.call(error or UnavailableError("not now"))

    @property
    def state(self) -> float | None:
        return value(self.metrics, "fireside_breaker_state", action="tests.ask", node="node-1")


@pytest.mark.requirement("P16")
async def test_it_opens_after_failures_in_a_row_and_then_fails_fast() -> None:
    guarded = Guarded()
    await guarded.fail(2)
    assert guarded.state == CLOSED
    await guarded.fail()
    assert guarded.state == OPEN

    with pytest.raises(CircuitOpenError, match="node-1") as caught:
        await guarded.call(Answer())

    assert guarded.script.calls == 0
    assert caught.value.details["retry_after_s"] == 10.0
    assert value(guarded.metrics, "fireside_breaker_refused_total", action="tests.ask", node="node-1") == 1


async def test_a_success_begins_the_count_anew() -> None:
    guarded = Guarded()
    await guarded.fail(2)
    await guarded.call(Answer())
    await guarded.fail(2)

    assert guarded.state == CLOSED


@pytest.mark.parametrize(
    "error",
    [
        NotFoundError("no such note"),
        OverloadedError("busy", action="tests.ask"),
        UnavailableError("of another", action="tests.other"),
        UnavailableError("one model of many", failed_part="model big"),
        ValueError("a bug"),
    ],
    ids=["the caller's fault", "merely busy", "a nested call", "a part of it", "a bug"],
)
async def test_what_does_not_speak_against_the_action_does_not_count(error: Exception) -> None:
    guarded = Guarded()
    await guarded.fail(9, error)

    assert guarded.state == CLOSED


def test_a_part_is_blamed_for_what_fails_in_it_and_not_for_what_its_caller_did_wrong() -> None:
    failed, refused = UnavailableError("gone"), NotFoundError("no such note")
    for error in (failed, refused):
        with suppress(UnavailableError, NotFoundError), PartOf("model"):
            raise error

    assert failed_part(error_from_dict(failed.to_dict())) == "model"
    assert failed_part(refused) is None


@pytest.mark.requirement("P16")
async def test_after_the_wait_exactly_one_call_probes() -> None:
    guarded = Guarded()
    await guarded.fail(3)
    guarded.clock.seconds += 10.1
    guarded.script = Script(...)
    probe = asyncio.ensure_future(guarded.handler(a_context(clock=guarded.clock), Ask()))
    await asyncio.sleep(0)
    assert guarded.state == HALF_OPEN

    for _ in range(5):
        with pytest.raises(CircuitOpenError):
            await guarded.handler(a_context(clock=guarded.clock), Ask())

    assert guarded.script.calls == 1
    probe.cancel()
    await asyncio.gather(probe, return_exceptions=True)


async def test_a_successful_probe_closes_it() -> None:
    guarded = Guarded()
    await guarded.fail(3)
    guarded.clock.seconds += 10.1

    await guarded.call(Answer())

    assert guarded.state == CLOSED
    await guarded.fail(2)
    assert guarded.state == CLOSED


async def test_a_failed_probe_opens_it_again_for_the_whole_wait() -> None:
    guarded = Guarded()
    await guarded.fail(3)
    guarded.clock.seconds += 10.1
    await guarded.fail(1)
    guarded.clock.seconds += 9.0

    with pytest.raises(CircuitOpenError):
        await guarded.call(Answer())


async def test_a_probe_whose_caller_gave_up_leaves_the_next_call_to_probe() -> None:
    guarded = Guarded()
    await guarded.fail(3)
    guarded.clock.seconds += 10.1
    guarded.script = Script(...)
    probe = asyncio.ensure_future(guarded.handler(a_context(clock=guarded.clock), Ask()))
    await asyncio.sleep(0)
    probe.cancel()
    await asyncio.gather(probe, return_exceptions=True)

    await guarded.call(Answer())

    assert guarded.state == CLOSED


@pytest.mark.parametrize("outcome", [Answer(), UnavailableError("late")], ids=["answered", "failed"])
async def test_a_straggler_from_before_changes_nothing_while_it_is_open(outcome: Any) -> None:
    metrics, clock = some_metrics(), HandClock()
    gate: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    async def run(context: Any, request: Ask) -> Any:
        if request.text == "slow":
            return await gate
        raise UnavailableError("not now")

    breaker = BreakerMiddleware(metrics, clock, BreakerPolicy(failures=1, open_s=10.0))
    handler = breaker.wrap(target(an_action()), run)
    straggler = asyncio.ensure_future(handler(a_context(clock=clock), Ask(text="slow")))
    await asyncio.sleep(0)
    with pytest.raises(UnavailableError):
        await handler(a_context(clock=clock), Ask())
    clock.seconds += 9.0

    if isinstance(outcome, Exception):
        gate.set_exception(outcome)
    else:
        gate.set_result(outcome)
    await asyncio.gather(straggler, return_exceptions=True)

    assert value(metrics, "fireside_breaker_state", action="tests.ask", node="node-1") == OPEN
    with pytest.raises(CircuitOpenError) as caught:
        await handler(a_context(clock=clock), Ask())
    assert caught.value.details["retry_after_s"] == 1.0


async def test_a_call_that_ran_into_its_deadline_counts() -> None:
    metrics, clock = some_metrics(), LoopClock()
    breaker = BreakerMiddleware(metrics, clock, BreakerPolicy(failures=1))
    handler = TimeoutMiddleware().wrap(target(an_action()), breaker.wrap(target(an_action()), Script(...)))

    with pytest.raises(DeadlineExceededError):
        await handler(a_context(within_s=0.02), Ask())

    assert value(metrics, "fireside_breaker_state", action="tests.ask", node="node-1") == OPEN


async def test_a_stream_whose_item_did_not_come_counts_and_one_that_was_closed_does_not() -> None:
    metrics, clock = some_metrics(), LoopClock()
    breaker = BreakerMiddleware(metrics, clock, BreakerPolicy(failures=1))
    guarded = breaker.wrap_stream(target(a_stream()), StreamScript([1, 2, ...]))
    closed = guarded(a_context(item_s=60), Ask())
    assert await anext(closed) == 1
    await closed.aclose()
    assert value(metrics, "fireside_breaker_state", action="tests.tell", node="node-1") == CLOSED

    with pytest.raises(DeadlineExceededError):
        await collect(TimeoutMiddleware().wrap_stream(target(a_stream()), guarded)(a_context(item_s=0.02), Ask()))

    assert value(metrics, "fireside_breaker_state", action="tests.tell", node="node-1") == OPEN


async def test_the_first_item_of_a_probing_stream_closes_it() -> None:
    metrics, clock = some_metrics(), HandClock()
    breaker = BreakerMiddleware(metrics, clock, BreakerPolicy(failures=1, open_s=10))
    handler = breaker.wrap_stream(
        target(a_stream()), StreamScript([UnavailableError("not now")], [1, UnavailableError("again")], [])
    )
    with pytest.raises(UnavailableError):
        await collect(handler(a_context(clock=clock), Ask()))
    clock.seconds += 11
    stream = handler(a_context(clock=clock), Ask())

    assert await anext(stream) == 1
    assert value(metrics, "fireside_breaker_state", action="tests.tell", node="node-1") == CLOSED
    with pytest.raises(UnavailableError):
        await anext(stream)
    assert value(metrics, "fireside_breaker_state", action="tests.tell", node="node-1") == OPEN
    clock.seconds += 11
    assert await collect(handler(a_context(clock=clock), Ask())) == []
    assert value(metrics, "fireside_breaker_state", action="tests.tell", node="node-1") == CLOSED


def test_it_guards_local_calls_and_single_nodes() -> None:
    assert BreakerMiddleware.places == {Place.LOCAL, Place.ENDPOINT}
