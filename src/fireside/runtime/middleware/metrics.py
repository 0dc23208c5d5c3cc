"""Counts every call, its outcome and its duration."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from time import perf_counter
from typing import Any, ClassVar

from fireside.core.errors import FiresideError, InternalError
from fireside.runtime.context import Context
from fireside.runtime.metrics import Metrics
from fireside.runtime.middleware.base import Handler, Middleware, Place, StreamHandler, Target


class MetricsMiddleware(Middleware):
    """Feeds `fireside_calls`, `fireside_call_seconds` and `fireside_stream_items`."""

    places: ClassVar = frozenset({Place.LOCAL, Place.SERVE, Place.SEND})

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def wrap(self, target: Target, handler: Handler) -> Handler:
        """Measure from call to answer."""
        name, place, calls = target.action.name, target.place.value, self._metrics.calls
        succeeded = calls.labels(name, place, "ok")
        seconds = self._metrics.call_seconds.labels(name, place)

        async def measured(context: Context, request: Any) -> Any:
            started = perf_counter()
            try:
                response = await handler(context, request)
            except BaseException as error:
                calls.labels(name, place, outcome_of(error)).inc()
                raise
            else:
                succeeded.value += 1
                return response
            finally:
                seconds.observe(perf_counter() - started)

        return measured

    def wrap_stream(self, target: Target, handler: StreamHandler) -> StreamHandler:
        """Measure from call to the end of the stream, and count its items."""
        name, place, calls = target.action.name, target.place.value, self._metrics.calls
        seconds = self._metrics.call_seconds.labels(name, place)
        items_seen = self._metrics.stream_items.labels(name, place)

        async def measured(context: Context, request: Any) -> AsyncGenerator[Any, None]:
            started, count, outcome = perf_counter(), 0, "ok"
            try:
                async with aclosing(handler(context, request)) as items:
                    async for item in items:
                        count += 1
                        yield item
            except BaseException as error:
                outcome = outcome_of(error)
                raise
            finally:
                calls.labels(name, place, outcome).inc()
                items_seen.inc(count)
                seconds.observe(perf_counter() - started)

        return measured


def outcome_of(error: BaseException) -> str:
    """The code under which a failed call is counted; a stream that its consumer closed was cancelled."""
    if isinstance(error, FiresideError):
        return error.code
    if isinstance(error, (asyncio.CancelledError, GeneratorExit)):
        return "cancelled"
    return InternalError.code
