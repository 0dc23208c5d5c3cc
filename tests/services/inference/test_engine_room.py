"""Engines within a budget of memory, on a clock that the tests move."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from fireside.ports.model_engine import EngineStatus
from fireside.runtime.errors import OverloadedError
from fireside.services.inference.engine_room import Care, EngineRoom
from fireside.services.inference.errors import TooLargeForBudgetError
from fireside.services.inference.model import ServedModel
from fireside.testing.scripted_model import ScriptedModel
from tests.services.auth.house import ManualClock
from tests.services.inference.parts import EngineDouble, served

pytestmark = pytest.mark.requirement("I6")


class Rooms:
    """A room for 100 bytes, and models of 40 bytes each unless said otherwise."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.room = EngineRoom(budget_bytes=100, keep_alive_s=60, clock=self.clock)
        self.engines: dict[str, EngineDouble] = {}

    def model(self, name: str, memory_bytes: int = 40) -> ServedModel:
        engine = self.engines[name] = EngineDouble(EngineStatus("ready"))
        return served(name, ScriptedModel(), engine=engine, memory_bytes=memory_bytes)

    async def use(self, *models: ServedModel) -> None:
        for model in models:
            async with self.room.using(model, lambda: None):
                self.clock.pass_time(seconds=1)

    @property
    def calls(self) -> dict[str, list[str]]:
        return {name: engine.calls for name, engine in self.engines.items()}


@pytest.fixture
def rooms() -> Rooms:
    return Rooms()


async def test_the_model_that_was_used_longest_ago_makes_room(rooms: Rooms) -> None:
    a, b, c = rooms.model("a"), rooms.model("b"), rooms.model("c")

    await rooms.use(a, b, a, c)

    assert rooms.calls == {"a": ["start"], "b": ["start", "stop"], "c": ["start"]}
    assert rooms.room.used_bytes == 80


async def test_what_answers_or_is_kept_is_never_unloaded_for_another(rooms: Rooms) -> None:
    kept, busy, other = rooms.model("kept"), rooms.model("busy"), rooms.model("other")
    rooms.room.treat(kept, Care(kept=True))
    await rooms.room.load(kept, lambda: None)

    async with rooms.room.using(busy, lambda: None):
        with pytest.raises(OverloadedError, match=r"other needs .* in use or kept") as caught:
            await rooms.use(other)
    assert caught.value.retryable
    assert rooms.calls == {"kept": ["start"], "busy": ["start"], "other": []}

    await rooms.use(other)
    assert rooms.calls == {"kept": ["start"], "busy": ["start", "stop"], "other": ["start"]}


async def test_nothing_is_unloaded_for_a_model_that_does_not_fit_anyway(rooms: Rooms) -> None:
    idle, busy, wide = rooms.model("idle"), rooms.model("busy"), rooms.model("wide", 70)
    await rooms.use(idle)

    async with rooms.room.using(busy, lambda: None):
        with pytest.raises(OverloadedError):
            await rooms.use(wide)
    with pytest.raises(TooLargeForBudgetError, match="FIRESIDE_INFERENCE_MEMORY_BYTES"):
        await rooms.use(rooms.model("huge", 101))

    assert "stop" not in rooms.calls["idle"]


async def test_who_is_not_used_is_unloaded_after_a_while_and_loaded_again_when_asked(rooms: Rooms) -> None:
    a, b = rooms.model("a"), rooms.model("b")
    await rooms.use(a)
    rooms.clock.pass_time(seconds=30)
    await rooms.use(b)
    rooms.clock.pass_time(seconds=45)

    await rooms.room.tidy()

    assert rooms.calls == {"a": ["start", "stop"], "b": ["start"]}
    await rooms.use(a)
    assert rooms.calls["a"] == ["start", "stop", "start"]


async def test_a_kept_model_outlasts_the_time_until_it_is_kept_no_more(rooms: Rooms) -> None:
    model = rooms.model("a")
    rooms.room.treat(model, Care(kept=True))
    await rooms.use(model)
    rooms.clock.pass_time(seconds=600)
    await rooms.room.tidy()
    assert rooms.calls["a"] == ["start"]

    rooms.room.treat(model, Care())
    await rooms.room.tidy()
    assert rooms.calls["a"] == ["start", "stop"]


async def test_many_at_once_load_a_model_once(rooms: Rooms) -> None:
    model = rooms.model("a")

    async with AsyncExitStack() as stack:
        uses = [rooms.room.using(model, lambda: None) for _ in range(20)]
        await asyncio.gather(*(stack.enter_async_context(use) for use in uses))
        assert rooms.room.is_used(model)

    assert rooms.calls["a"] == ["start"]
    assert not rooms.room.is_used(model)


async def test_an_engine_that_gave_up_is_started_anew_by_the_next_who_asks(rooms: Rooms) -> None:
    model = rooms.model("a")
    await rooms.use(model)
    rooms.engines["a"].status = EngineStatus("failed", "gave up after 8 crashes")

    await rooms.use(model)

    assert rooms.calls["a"] == ["start", "stop", "start"]


async def test_of_unused_models_those_of_low_rank_make_room_first(rooms: Rooms) -> None:
    a, b, c = rooms.model("a"), rooms.model("b"), rooms.model("c")
    rooms.room.treat(b, Care(rank=-1))

    await rooms.use(a, b, c)

    assert rooms.calls == {"a": ["start"], "b": ["start", "stop"], "c": ["start"]}


async def test_a_model_may_stay_for_a_time_of_its_own(rooms: Rooms) -> None:
    a, b = rooms.model("a"), rooms.model("b")
    rooms.room.treat(a, Care(keep_alive_s=0.0))
    await rooms.use(a, b)

    await rooms.room.tidy()

    assert rooms.calls == {"a": ["start", "stop"], "b": ["start"]}
