"""What the tests of the middlewares share: a dispatcher that only has a clock, contexts, scripted handlers."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from prometheus_client import CollectorRegistry

from fireside.contracts.base import SIGNED_IN, Action, Contract, StreamAction
from fireside.core.identity import ANONYMOUS, Identity
from fireside.runtime.context import Context
from fireside.runtime.metrics import Metrics
from fireside.runtime.middleware.base import Place, Target


class Ask(Contract):
    text: str = ""


class Answer(Contract):
    text: str = ""


def an_action(**options: Any) -> Action[Ask, Answer]:
    return Action("tests.ask", Ask, Answer, access=options.pop("access", SIGNED_IN), **options)


def a_stream(**options: Any) -> StreamAction[Ask, Answer]:
    return StreamAction("tests.tell", Ask, Answer, access=options.pop("access", SIGNED_IN), **options)


class LoopClock:
    """The clock of the running loop, with a date that does not matter."""

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC)

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()


class HandClock(LoopClock):
    """Stands still until moved."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def monotonic(self) -> float:
        return self.seconds


class OnlyAClock:
    """Stands behind contexts that call nothing."""

    def __init__(self, clock: Any = None) -> None:
        self.clock = clock or LoopClock()

    async def dispatch(self, *_: Any, **__: Any) -> Any:
        raise AssertionError("nothing is called here")

    def dispatch_stream(self, *_: Any, **__: Any) -> AsyncGenerator[Any, None]:
        raise AssertionError("nothing is called here")

    async def broadcast(self, *_: Any, **__: Any) -> None:
        raise AssertionError("nothing is called here")

    async def emit(self, *_: Any, **__: Any) -> None:
        raise AssertionError("nothing is called here")


def a_context(
    *, within_s: float | None = None, item_s: float | None = None, identity: Identity = ANONYMOUS, clock: Any = None
) -> Context:
    dispatcher = OnlyAClock(clock)
    deadline = None if within_s is None else dispatcher.clock.monotonic() + within_s
    return Context(dispatcher, "r-1", identity, action="tests.ask", deadline=deadline, item_timeout_s=item_s)


def target(action: Any, place: Place = Place.LOCAL, fallback: Callable[..., Any] | None = None) -> Target:
    return Target(action, place, "node-1", fallback)


class Script:
    """A handler that does what its steps say, one a call: answers, raises, or hangs at `...`."""

    def __init__(self, *steps: Any) -> None:
        self.steps = list(steps)
        self.calls = 0
        self.cancelled = 0

    async def __call__(self, context: Context, request: Any) -> Any:
        self.calls += 1
        step = self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]
        if isinstance(step, BaseException):
            raise step
        if step is ...:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
        return step


class StreamScript:
    """A stream handler; each call plays one list of steps: items, errors, or `...` for hanging."""

    def __init__(self, *plays: Sequence[Any]) -> None:
        self.plays = list(plays)
        self.calls = 0
        self.closed = 0

    async def __call__(self, context: Context, request: Any) -> AsyncGenerator[Any, None]:
        self.calls += 1
        play = self.plays.pop(0) if len(self.plays) > 1 else self.plays[0]
        try:
            for step in play:
                if isinstance(step, BaseException):
                    raise step
                if step is ...:
                    await asyncio.Event().wait()
                yield step
        finally:
            self.closed += 1


async def collect(stream: AsyncGenerator[Any, None]) -> list[Any]:
    return [item async for item in stream]


def some_metrics() -> Metrics:
    return Metrics(CollectorRegistry())


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)
