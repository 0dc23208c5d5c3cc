import asyncio
from typing import Any

import pytest

from fireside.runtime.errors import OverloadedError
from fireside.runtime.middleware.base import Place
from fireside.runtime.middleware.bulkhead import Bulkhead, BulkheadMiddleware, BulkheadPolicy

from .parts import Answer, Ask, StreamScript, a_context, a_stream, an_action, some_metrics, target, value


class Rooms:
    """An action with two places and a queue of one."""

    def __init__(self) -> None:
        self.metrics = some_metrics()
        self.middleware = BulkheadMiddleware(self.metrics, BulkheadPolicy(calls=2, streams=1, waiting=1))
        self.handler = self.middleware.wrap(target(an_action()), self._work)
        self.gates: list[asyncio.Future[Answer]] = []

    async def _work(self, context: Any, request: Any) -> Answer:
        gate: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.gates.append(gate)
        return await gate

    async def begin(self, count: int = 1) -> list[asyncio.Task[Answer]]:
        tasks = [asyncio.ensure_future(self.handler(a_context(), Ask())) for _ in range(count)]
        await self.settle()
        return tasks

    async def settle(self) -> None:
        for _ in range(5):
            await asyncio.sleep(0)

    @property
    def figures(self) -> tuple[float | None, float | None]:
        names = ("fireside_bulkhead_active", "fireside_bulkhead_waiting")
        return tuple(value(self.metrics, name, action="tests.ask") for name in names)  # type: ignore[return-value]


@pytest.mark.requirement("P17")
async def test_calls_beyond_the_places_wait_and_those_beyond_the_queue_are_refused() -> None:
    rooms = Rooms()
    tasks = await rooms.begin(3)
    assert (len(rooms.gates), rooms.figures) == (2, (2, 1))

    with pytest.raises(OverloadedError, match=r"tests\.ask: 2 calls .* 1 wait") as caught:
        await rooms.handler(a_context(), Ask())

    assert caught.value.status == 503
    assert caught.value.details["retry_after_s"] == 1
    assert value(rooms.metrics, "fireside_bulkhead_refused_total", action="tests.ask") == 1
    rooms.gates[0].set_result(Answer())
    await rooms.settle()
    assert (len(rooms.gates), rooms.figures) == (3, (2, 0))
    for gate in rooms.gates[1:]:
        gate.set_result(Answer())
    assert await asyncio.gather(*tasks) == [Answer()] * 3
    assert rooms.figures == (0, 0)


async def test_who_waits_longest_comes_first() -> None:
    order: list[str] = []
    gate = asyncio.Event()

    async def work(context: Any, request: Ask) -> Answer:
        order.append(request.text)
        await gate.wait()
        return Answer()

    handler = BulkheadMiddleware(some_metrics(), BulkheadPolicy(calls=1, waiting=9)).wrap(target(an_action()), work)
    tasks = [asyncio.ensure_future(handler(a_context(), Ask(text=text))) for text in "abcd"]
    await asyncio.sleep(0)

    gate.set()
    await asyncio.gather(*tasks)

    assert order == ["a", "b", "c", "d"]


async def test_a_waiting_call_that_is_cancelled_gives_up_its_turn() -> None:
    rooms = Rooms()
    first, second, waiting = await rooms.begin(3)

    waiting.cancel()
    await rooms.settle()

    assert rooms.figures == (2, 0)
    for gate in rooms.gates:
        gate.set_result(Answer())
    await asyncio.gather(first, second)
    assert rooms.figures == (0, 0)


async def test_a_call_that_is_cancelled_in_the_moment_of_its_turn_loses_no_place() -> None:
    places = Bulkhead("tests.ask", limit=1, waiting_limit=1, metrics=some_metrics())
    assert places.enter() is None
    turn = places.enter()
    assert turn is not None
    waiting = asyncio.ensure_future(places.wait(turn))
    await asyncio.sleep(0)

    places.leave()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)

    assert waiting.cancelled()
    assert places.enter() is None


async def test_a_turn_is_not_given_to_a_call_that_was_just_cancelled() -> None:
    places = Bulkhead("tests.ask", limit=1, waiting_limit=2, metrics=some_metrics())
    places.enter()
    turns = [turn for turn in (places.enter(), places.enter()) if turn is not None]
    first, second = (asyncio.ensure_future(places.wait(turn)) for turn in turns)
    await asyncio.sleep(0)

    first.cancel()
    places.leave()

    await asyncio.wait_for(second, 5)
    await asyncio.gather(first, return_exceptions=True)
    places.leave()
    assert places.enter() is None


async def test_a_failing_call_gives_its_place_back() -> None:
    rooms = Rooms()
    (task,) = await rooms.begin()
    rooms.gates[0].set_exception(ValueError("a bug"))

    with pytest.raises(ValueError, match="a bug"):
        await task

    assert rooms.figures == (0, 0)


async def test_calls_from_here_and_from_other_nodes_share_the_places() -> None:
    rooms = Rooms()
    from_afar = rooms.middleware.wrap(target(an_action(), Place.SERVE), rooms._work)
    tasks = await rooms.begin(2)
    tasks.append(asyncio.ensure_future(from_afar(a_context(), Ask())))
    await rooms.settle()

    assert rooms.figures == (2, 1)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_stream_holds_its_place_until_it_ends_or_is_closed() -> None:
    middleware = BulkheadMiddleware(some_metrics(), BulkheadPolicy(streams=1, waiting=1))
    handler = middleware.wrap_stream(target(a_stream()), StreamScript([1, 2]))
    first, second, third = (handler(a_context(), Ask()) for _ in range(3))
    assert await anext(first) == 1
    waiting = asyncio.ensure_future(anext(second))
    await asyncio.sleep(0)
    with pytest.raises(OverloadedError):
        await anext(third)

    await first.aclose()

    assert await waiting == 1
    assert [item async for item in second] == [2]
    assert [item async for item in handler(a_context(), Ask())] == [1, 2]
