"""Lets a service answer with less when an action of its own is unavailable."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, ClassVar

import structlog

from fireside.core.errors import FiresideError
from fireside.runtime.context import Context
from fireside.runtime.metrics import Metrics
from fireside.runtime.middleware.base import Handler, Middleware, Place, StreamHandler, Target

log = structlog.stdlib.get_logger(__name__)


class FallbackMiddleware(Middleware):
    """Calls the fallback that a service declared for an action, once everything else has failed.

    Only for failures on our side (status 500 and above), and for a stream only while nothing of it was delivered.
    """

    places: ClassVar = frozenset({Place.LOCAL, Place.SERVE})

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def wrap(self, target: Target, handler: Handler) -> Handler:
        """Fall back once; actions without a fallback are left alone."""
        fallback = target.fallback
        if fallback is None:
            return handler

        async def falling_back(context: Context, request: Any) -> Any:
            try:
                return await handler(context, request)
            except FiresideError as error:
                if error.status < 500:
                    raise
                self._note(target, error)
                return await fallback(context, request, error)

        return falling_back

    def wrap_stream(self, target: Target, handler: StreamHandler) -> StreamHandler:
        """Fall back before the first item; stream actions without a fallback are left alone."""
        fallback = target.fallback
        if fallback is None:
            return handler

        async def falling_back(context: Context, request: Any) -> AsyncGenerator[Any, None]:
            delivered = False
            try:
                async with aclosing(handler(context, request)) as items:
                    async for item in items:
                        delivered = True
                        yield item
                return
            except FiresideError as error:
                if delivered or error.status < 500:
                    raise
                failure = error
            self._note(target, failure)
            async with aclosing(fallback(context, request, failure)) as items:
                async for item in items:
                    yield item

        return falling_back

    def _note(self, target: Target, error: FiresideError) -> None:
        self._metrics.fallbacks.labels(target.action.name, error.code).inc()
        log.warning("fallback_used", action=target.action.name, code=error.code)
