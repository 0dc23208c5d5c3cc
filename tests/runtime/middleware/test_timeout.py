import asyncio
from contextlib import aclosing

import pytest

from fireside.core.errors import DeadlineExceededError
from fireside.runtime.middleware.timeout import TimeoutMiddleware

from .parts import Answer, Ask, HandClock, Script, StreamScript, a_context, a_stream, an_action, collect, target


async def test_a_call_that_takes_too_long_is_cancelled_and_fails_with_a_deadline_error() -> None:
    script = Script(...)
    handler = TimeoutMiddleware().wrap(target(an_action()), script)

    with pytest.raises(DeadlineExceededError, match=r"tests\.ask"):
        await handler(a_context(within_s=0.01), Ask())

    assert script.cancelled == 1


async def test_a_call_whose_deadline_has_passed_is_not_begun() -> None:
    script = Script(Answer())
    handler = TimeoutMiddleware().wrap(target(an_action()), script)

    with pytest.raises(DeadlineExceededError):
        await handler(a_context(within_s=-1.0), Ask())

    assert script.calls == 0


async def test_a_call_in_time_passes_with_and_without_a_deadline() -> None:
    handler = TimeoutMiddleware().wrap(target(an_action()), Script(Answer(text="a")))

    assert await handler(a_context(within_s=5), Ask()) == Answer(text="a")
    assert await handler(a_context(), Ask()) == Answer(text="a")


async def test_a_timeout_error_of_the_action_itself_stays_what_it_is() -> None:
    handler = TimeoutMiddleware().wrap(target(an_action()), Script(TimeoutError("its own")))

    with pytest.raises(TimeoutError, match="its own"):
        await handler(a_context(within_s=5), Ask())


async def test_a_callers_cancellation_is_not_taken_for_a_timeout() -> None:
    handler = TimeoutMiddleware().wrap(target(an_action()), Script(...))
    call = asyncio.ensure_future(handler(a_context(within_s=5), Ask()))
    await asyncio.sleep(0)

    call.cancel()

    with pytest.raises(asyncio.CancelledError):
        await call


async def test_a_stream_fails_when_its_next_item_does_not_come() -> None:
    script = StreamScript([1, 2, ...])
    handler = TimeoutMiddleware().wrap_stream(target(a_stream()), script)
    got: list[int] = []

    async def consume() -> None:
        async for item in handler(a_context(item_s=0.01), Ask()):
            got.append(item)

    with pytest.raises(DeadlineExceededError, match=r"tests\.tell"):
        await consume()
    assert got == [1, 2]
    assert script.closed == 1


async def test_the_time_that_the_consumer_takes_does_not_count() -> None:
    handler = TimeoutMiddleware().wrap_stream(target(a_stream()), StreamScript([1, 2, 3]))
    loop = asyncio.get_running_loop()
    got: list[int] = []

    async with aclosing(handler(a_context(item_s=0.05), Ask())) as items:
        async for item in items:
            got.append(item)
            until = loop.time() + 0.06
            while loop.time() < until:
                await asyncio.sleep(0)

    assert got == [1, 2, 3]


async def test_a_stream_ends_at_its_callers_deadline() -> None:
    handler = TimeoutMiddleware().wrap_stream(target(a_stream()), StreamScript([1, ...]))

    with pytest.raises(DeadlineExceededError):
        await collect(handler(a_context(within_s=0.02, item_s=60), Ask()))


async def test_a_timeout_error_of_a_stream_itself_stays_what_it_is() -> None:
    handler = TimeoutMiddleware().wrap_stream(target(a_stream()), StreamScript([1, TimeoutError("its own")]))

    with pytest.raises(TimeoutError, match="its own"):
        await collect(handler(a_context(item_s=5), Ask()))


async def test_a_stream_without_any_limit_just_runs() -> None:
    handler = TimeoutMiddleware().wrap_stream(target(a_stream()), StreamScript([1, 2]))

    assert await collect(handler(a_context(), Ask())) == [1, 2]


async def test_a_caller_who_gives_up_in_the_moment_of_the_timeout_has_given_up() -> None:
    handler = TimeoutMiddleware().wrap_stream(target(a_stream()), StreamScript([...]))
    loop = asyncio.get_running_loop()
    waiting = asyncio.ensure_future(anext(handler(a_context(item_s=0.02), Ask())))
    await asyncio.sleep(0)
    loop.call_later(0.021, waiting.cancel)
    both_due = loop.time() + 0.03
    while loop.time() < both_due:
        pass

    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_a_consumer_that_comes_back_after_the_deadline_gets_nothing_more() -> None:
    clock = HandClock()
    handler = TimeoutMiddleware().wrap_stream(target(a_stream()), StreamScript([1, 2]))
    stream = handler(a_context(within_s=5, clock=clock), Ask())
    assert await anext(stream) == 1
    clock.seconds += 6

    with pytest.raises(DeadlineExceededError):
        await anext(stream)
