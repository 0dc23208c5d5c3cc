"""Makes a failed call again where that can help and cannot harm."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from random import Random
from typing import Any, ClassVar

from fireside.core.errors import FiresideError
from fireside.runtime.context import Context
from fireside.runtime.errors import RefusedError
from fireside.runtime.metrics import Metrics
from fireside.runtime.middleware.base import Handler, Middleware, Place, StreamHandler, Target

Sleep = Callable[[float], Awaitable[None]]


@dataclass(frozen=True)
class RetryPolicy:
    """How often and how soon: exponential with full jitter.

    Attributes:
        attempts: Most attempts, the first included.
        first_delay_s: Upper bound of the first wait; each further bound is twice as long.
        longest_delay_s: Upper bound of any wait.
        random: Draws each wait between nothing and its bound.
        sleep: Waits.
    """

    attempts: int = 3
    first_delay_s: float = 0.05
    longest_delay_s: float = 2.0
    random: Random = field(default_factory=Random)
    sleep: Sleep = asyncio.sleep

    def delay_s(self, error: FiresideError, attempt: int) -> float:
        """How long to wait after attempt number `attempt`; longer where the error says when to come back."""
        bound_s = min(self.longest_delay_s, self.first_delay_s * 2 ** (attempt - 1))
        asked_s = error.details.get("retry_after_s", 0.0)
        return max(self.random.uniform(0.0, bound_s), asked_s if isinstance(asked_s, (int, float)) else 0.0)


class RetryMiddleware(Middleware):
    """Retries idempotent actions after errors that call themselves retryable.

    Only failures of the action itself: what a nested call met was already retried there, and a call that was refused
    before it began was already offered to every node. A stream is begun again only while nothing of it was delivered. A
    call with a body is never made again: bytes can be read only once.
    """

    places: ClassVar = frozenset({Place.LOCAL, Place.SEND})

    def __init__(self, metrics: Metrics, policy: RetryPolicy | None = None) -> None:
        self._metrics = metrics
        self._policy = policy or RetryPolicy()

    def wrap(self, target: Target, handler: Handler) -> Handler:
        """Retry the call; actions that are not idempotent are left alone."""
        if not target.action.idempotent:
            return handler

        async def retrying(context: Context, request: Any) -> Any:
            attempt = 1
            while True:
                try:
                    return await handler(context, request)
                except FiresideError as error:
                    await self._pause_or_raise(target, context, error, attempt)
                attempt += 1

        return retrying

    def wrap_stream(self, target: Target, handler: StreamHandler) -> StreamHandler:
        """Retry the beginning of a stream; actions that are not idempotent are left alone."""
        if not target.action.idempotent:
            return handler

        async def retrying(context: Context, request: Any) -> AsyncGenerator[Any, None]:
            attempt, delivered = 1, False
            while True:
                try:
                    async with aclosing(handler(context, request)) as items:
                        async for item in items:
                            delivered = True
                            yield item
                    return
                except FiresideError as error:
                    if delivered:
                        raise
                    await self._pause_or_raise(target, context, error, attempt)
                attempt += 1

        return retrying

    async def _pause_or_raise(self, target: Target, context: Context, error: FiresideError, attempt: int) -> None:
        name = target.action.name
        own = error.details.get("action", name) == name and not isinstance(error, RefusedError)
        if not (error.retryable and own and attempt < self._policy.attempts and context.body is None):
            raise error
        delay_s, remaining_s = self._policy.delay_s(error, attempt), context.remaining_s
        if remaining_s is not None and delay_s >= remaining_s:
            raise error
        self._metrics.retries.labels(name).inc()
        await self._policy.sleep(delay_s)
