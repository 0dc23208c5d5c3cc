"""Keeps one action from taking the whole node: so many at once, so many waiting, and a clear no to the rest."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, ClassVar

from fireside.runtime.context import Context
from fireside.runtime.errors import OverloadedError
from fireside.runtime.metrics import Metrics
from fireside.runtime.middleware.base import Handler, Middleware, Place, StreamHandler, Target


@dataclass(frozen=True, slots=True)
class BulkheadPolicy:
    """How many calls of one action a node takes.

    Attributes:
        calls: Calls worked on at once.
        streams: Streams open at once; a stream holds its place until it ends.
        waiting: Calls, or streams, that may wait for a place.
    """

    calls: int = 512
    streams: int = 4096
    waiting: int = 1024


class Bulkhead:
    """The places of one action. Whoever enters must leave; the first in the queue takes over the place."""

    def __init__(self, action: str, *, limit: int, waiting_limit: int, metrics: Metrics) -> None:
        self._action, self._limit, self._waiting_limit = action, limit, waiting_limit
        self._taken = 0
        self._queue: deque[asyncio.Future[None]] = deque()
        self._refused = metrics.bulkhead_refused.labels(action)
        metrics.bulkhead_active.labels(action).set_function(lambda: self._taken)
        metrics.bulkhead_waiting.labels(action).set_function(lambda: len(self._queue))

    def enter(self) -> "asyncio.Future[None] | None":
        """Take a place; None when there was one, else what to pass to `wait`.

        Raises:
            OverloadedError: As many as may are waiting already.
        """
        if self._taken < self._limit:
            self._taken += 1
            return None
        if len(self._queue) >= self._waiting_limit:
            self._refused.inc()
            raise OverloadedError(
                f"{self._action}: {self._limit} calls are being worked on and {self._waiting_limit} wait already",
                action=self._action,
                retry_after_s=1,
            )
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append(turn)
        return turn

    async def wait(self, turn: "asyncio.Future[None]") -> None:
        """Wait for one's turn; who is cancelled meanwhile has not entered."""
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._queue.remove(turn)
            else:  # the turn came in the same moment
                self.leave()
            raise

    def leave(self) -> None:
        """Give the place to the next in the queue, or back."""
        for turn in self._queue:
            if not turn.done():
                self._queue.remove(turn)
                turn.set_result(None)
                return
        self._taken -= 1


class BulkheadMiddleware(Middleware):
    """Holds a place for each call while it runs; calls from here and from other nodes share the places."""

    places: ClassVar = frozenset({Place.LOCAL, Place.SERVE})

    def __init__(self, metrics: Metrics, policy: BulkheadPolicy | None = None) -> None:
        self._metrics = metrics
        self._policy = policy or BulkheadPolicy()
        self._bulkheads: dict[str, Bulkhead] = {}

    def wrap(self, target: Target, handler: Handler) -> Handler:
        """Hold a place while the call runs."""
        bulkhead = self._bulkhead(target, self._policy.calls)

        async def bounded(context: Context, request: Any) -> Any:
            turn = bulkhead.enter()
            if turn is not None:
                await bulkhead.wait(turn)
            try:
                return await handler(context, request)
            finally:
                bulkhead.leave()

        return bounded

    def wrap_stream(self, target: Target, handler: StreamHandler) -> StreamHandler:
        """Hold a place until the stream ends."""
        bulkhead = self._bulkhead(target, self._policy.streams)

        async def bounded(context: Context, request: Any) -> AsyncGenerator[Any, None]:
            turn = bulkhead.enter()
            if turn is not None:
                await bulkhead.wait(turn)
            try:
                async with aclosing(handler(context, request)) as items:
                    async for item in items:
                        yield item
            finally:
                bulkhead.leave()

        return bounded

    def _bulkhead(self, target: Target, limit: int) -> Bulkhead:
        name = target.action.name
        if name not in self._bulkheads:
            self._bulkheads[name] = Bulkhead(
                name, limit=limit, waiting_limit=self._policy.waiting, metrics=self._metrics
            )
        return self._bulkheads[name]
