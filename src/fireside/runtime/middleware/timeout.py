"""Ends calls whose answer comes too late, and streams whose next item does."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, ClassVar, Self

from fireside.core.errors import DeadlineExceededError
from fireside.runtime.context import Context
from fireside.runtime.middleware.base import Handler, Middleware, Place, StreamHandler, Target
from fireside.runtime.middleware.deadlines import Deadlines

SHORTEST_WATCH_S = 0.001
"""How often a wait that is nearly over is looked at."""


class TimeoutMiddleware(Middleware):
    """Cancels what runs beyond the deadline that travels with the call.

    A stream has a deadline only where its caller has one; its own limit is the wait for each next item. That wait is
    watched on the consumer's node, where the time that the consumer itself takes does not count.
    """

    places: ClassVar = frozenset({Place.LOCAL, Place.SERVE, Place.SEND})

    def __init__(self) -> None:
        self._deadlines: Deadlines | None = None

    def wrap(self, target: Target, handler: Handler) -> Handler:
        """Bound the whole call."""
        name = target.action.name

        async def bounded(context: Context, request: Any) -> Any:
            remaining_s = context.remaining_s
            if remaining_s is None:
                return await handler(context, request)
            if remaining_s <= 0:
                raise _too_late(name)
            deadlines = self._deadlines = self._deadlines or Deadlines(asyncio.get_running_loop())
            deadline = deadlines.within(remaining_s)
            try:
                with deadline:
                    return await handler(context, request)
            except TimeoutError as error:
                if deadline.expired:
                    raise _too_late(name) from error
                raise

        return bounded

    def wrap_stream(self, target: Target, handler: StreamHandler) -> StreamHandler:
        """Bound the wait for each item."""
        name = target.action.name

        async def bounded(context: Context, request: Any) -> AsyncGenerator[Any, None]:
            with _Watchdog(context) as watchdog:
                async with aclosing(handler(context, request)) as items:
                    while True:
                        watchdog.begin_wait()
                        try:
                            item = await anext(items)
                        except StopAsyncIteration:
                            return
                        except asyncio.CancelledError as error:
                            if watchdog.ended_wait():
                                raise _too_late(name) from error
                            raise
                        watchdog.end_wait()
                        yield item

        return bounded


class _Watchdog:
    """Cancels whoever has waited too long for the next item of one stream.

    One timer serves the whole stream and looks, when it fires, whether the wait that runs is over its limit: setting
    one for each item, as `asyncio.timeout` would, costs more than the rest of the chain.
    """

    __slots__ = ("_bit", "_cancelling", "_context", "_loop", "_since", "_task", "_timer")

    def __init__(self, context: Context) -> None:
        self._context = context
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[Any] | None = None
        self._since = 0.0
        self._cancelling = 0
        self._bit = False
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> Self:
        self._watch()
        return self

    def __exit__(self, *_: object) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def begin_wait(self) -> None:
        """The running task waits for the next item from now on.

        Raises:
            DeadlineExceededError: The caller's deadline has passed.
        """
        if self._context.deadline is not None and self._context.remaining_s == 0:
            raise _too_late(self._context.action)
        self._task = task = asyncio.current_task()
        self._cancelling = 0 if task is None else task.cancelling()
        self._since = self._loop.time()

    def end_wait(self) -> None:
        """The item came."""
        self._task = None

    def ended_wait(self) -> bool:
        """Whether it was the watchdog, and nobody else, that cancelled the wait."""
        task, self._task = self._task, None
        return self._bit and task is not None and task.uncancel() <= self._cancelling

    def _watch(self) -> None:
        limit_s, remaining_s = self._context.item_timeout_s, self._context.remaining_s
        if self._task is not None:
            waited_s = self._loop.time() - self._since
            over = limit_s is not None and waited_s >= limit_s
            if over or (remaining_s is not None and remaining_s <= 0):
                self._bit = True
                self._task.cancel()
                return
            limit_s = None if limit_s is None else limit_s - waited_s
        waits = [seconds for seconds in (limit_s, remaining_s) if seconds]  # what is over is met by the next wait
        if waits:
            self._timer = self._loop.call_later(max(min(waits), SHORTEST_WATCH_S), self._watch)


def _too_late(action: str) -> DeadlineExceededError:
    return DeadlineExceededError(f"{action} did not answer in time", action=action)
