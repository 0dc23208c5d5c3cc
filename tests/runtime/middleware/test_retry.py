from random import Random
from typing import Any

import pytest

from fireside.core.errors import ConflictError, TooManyRequestsError, UnavailableError, UpstreamError
from fireside.runtime.errors import CircuitOpenError
from fireside.runtime.middleware.retry import RetryMiddleware, RetryPolicy

from .parts import (
    Answer,
    Ask,
    HandClock,
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


class Pauses:
    """A sleep that only notes how long."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


@pytest.fixture
def pauses() -> Pauses:
    return Pauses()


@pytest.fixture
def retry(pauses: Pauses) -> RetryMiddleware:
    policy = RetryPolicy(attempts=4, first_delay_s=0.1, longest_delay_s=0.25, random=Random(3), sleep=pauses)
    return RetryMiddleware(some_metrics(), policy)


def failures(count: int, error: Any = None) -> list[Any]:
    return [error or UnavailableError("not now") for _ in range(count)]


async def test_a_call_is_made_again_until_it_succeeds(retry: RetryMiddleware, pauses: Pauses) -> None:
    script = Script(*failures(3), Answer(text="at last"))
    handler = retry.wrap(target(an_action(idempotent=True)), script)

    assert await handler(a_context(), Ask()) == Answer(text="at last")
    assert script.calls == 4
    assert len(pauses.seconds) == 3


@pytest.mark.requirement("P17")
async def test_the_number_of_attempts_is_exact(retry: RetryMiddleware) -> None:
    script = Script(*failures(9))
    handler = retry.wrap(target(an_action(idempotent=True)), script)

    with pytest.raises(UnavailableError):
        await handler(a_context(), Ask())

    assert script.calls == 4


async def test_waits_are_drawn_below_a_bound_that_doubles_up_to_a_limit(pauses: Pauses) -> None:
    policy = RetryPolicy(attempts=60, first_delay_s=0.1, longest_delay_s=0.25, random=Random(1), sleep=pauses)
    handler = RetryMiddleware(some_metrics(), policy).wrap(target(an_action(idempotent=True)), Script(*failures(99)))

    with pytest.raises(UnavailableError):
        await handler(a_context(), Ask())

    assert 0 <= pauses.seconds[0] <= 0.1
    assert 0 <= pauses.seconds[1] <= 0.2
    assert all(0 <= seconds <= 0.25 for seconds in pauses.seconds)
    assert max(pauses.seconds) > 0.2
    assert len(set(pauses.seconds)) > 50


@pytest.mark.parametrize(
    ("action", "error"),
    [
        (an_action(idempotent=False), UnavailableError("not now")),
        (an_action(idempotent=True), ConflictError("taken")),
        (an_action(idempotent=True), ValueError("a bug")),
        (an_action(idempotent=True), UpstreamError("of another", action="tests.other")),
        (an_action(idempotent=True), CircuitOpenError("open", action="tests.ask")),
    ],
    ids=["not idempotent", "not retryable", "not ours", "of a nested call", "refused before it began"],
)
@pytest.mark.requirement("P17")
async def test_what_cannot_help_or_could_harm_is_not_tried_again(
    retry: RetryMiddleware, action: Any, error: Exception
) -> None:
    script = Script(error)

    with pytest.raises(type(error)):
        await retry.wrap(target(action), script)(a_context(), Ask())

    assert script.calls == 1


async def test_an_own_error_that_names_its_action_is_tried_again(retry: RetryMiddleware) -> None:
    script = Script(UnavailableError("x", action="tests.ask"), Answer())

    await retry.wrap(target(an_action(idempotent=True)), script)(a_context(), Ask())

    assert script.calls == 2


async def test_no_attempt_is_made_that_the_deadline_would_cut_short(pauses: Pauses) -> None:
    clock = HandClock()
    policy = RetryPolicy(attempts=9, first_delay_s=10, longest_delay_s=10, random=Random(1), sleep=pauses)
    script = Script(*failures(9))
    handler = RetryMiddleware(some_metrics(), policy).wrap(target(an_action(idempotent=True)), script)

    with pytest.raises(UnavailableError):
        await handler(a_context(within_s=0.5, clock=clock), Ask())

    assert script.calls == 1
    assert pauses.seconds == []


async def test_a_wait_that_the_error_asks_for_is_kept(retry: RetryMiddleware, pauses: Pauses) -> None:
    script = Script(TooManyRequestsError("slow down", retry_after_s=7), Answer())

    await retry.wrap(target(an_action(idempotent=True)), script)(a_context(), Ask())

    assert pauses.seconds == [7]


async def test_a_stream_is_begun_again_only_while_nothing_was_delivered(retry: RetryMiddleware) -> None:
    script = StreamScript([UnavailableError("not now")], [1, 2])
    handler = retry.wrap_stream(target(a_stream(idempotent=True)), script)

    assert await collect(handler(a_context(), Ask())) == [1, 2]

    script = StreamScript([1, UnavailableError("not now")], [1, 2])
    handler = retry.wrap_stream(target(a_stream(idempotent=True)), script)
    with pytest.raises(UnavailableError):
        await collect(handler(a_context(), Ask()))
    assert script.calls == 1


async def test_a_stream_that_is_not_idempotent_is_left_alone(retry: RetryMiddleware) -> None:
    script = StreamScript([UnavailableError("not now")])

    with pytest.raises(UnavailableError):
        await collect(retry.wrap_stream(target(a_stream()), script)(a_context(), Ask()))

    assert script.calls == 1


async def test_attempts_after_the_first_are_counted(pauses: Pauses) -> None:
    metrics = some_metrics()
    retry = RetryMiddleware(metrics, RetryPolicy(attempts=3, sleep=pauses))

    await retry.wrap(target(an_action(idempotent=True)), Script(*failures(2), Answer()))(a_context(), Ask())

    assert value(metrics, "fireside_retries_total", action="tests.ask") == 2
