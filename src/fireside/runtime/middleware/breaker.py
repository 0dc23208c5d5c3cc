"""Leaves an action alone for a while after it failed too often on a node."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, ClassVar, Self

from fireside.core.clock import Clock
from fireside.core.errors import FiresideError
from fireside.runtime.breaker import Breaker, BreakerPolicy
from fireside.runtime.context import Context
from fireside.runtime.errors import CircuitOpenError, RefusedError, failed_part
from fireside.runtime.metrics import Metrics
from fireside.runtime.middleware.base import Handler, Middleware, Place, StreamHandler, Target

TIMER_SLACK_S = 0.01
"""How much earlier than it should an event loop's timer may fire."""


class BreakerMiddleware(Middleware):
    """One breaker for each action and node; errors of the caller's making do not count."""

    places: ClassVar = frozenset({Place.LOCAL, Place.ENDPOINT})

    def __init__(self, metrics: Metrics, clock: Clock, policy: BreakerPolicy | None = None) -> None:
        self._metrics, self._clock = metrics, clock
        self._policy = policy or BreakerPolicy()

    def wrap(self, target: Target, handler: Handler) -> Handler:
        """Count answers and failures."""
        breaker = self._breaker(target)

        async def guarded(context: Context, request: Any) -> Any:
            probe = breaker.admit()
            try:
                response = await handler(context, request)
            except BaseException as error:
                _Admission(breaker, target, context, probe=probe).failed(error)
                raise
            breaker.succeeded(probe=probe)
            return response

        return guarded

    def wrap_stream(self, target: Target, handler: StreamHandler) -> StreamHandler:
        """Count a stream as answered with its first item, or its end; a failure later on still counts."""
        breaker = self._breaker(target)

        async def guarded(context: Context, request: Any) -> AsyncGenerator[Any, None]:
            with _Admission(breaker, target, context, probe=breaker.admit()) as admission:
                async with aclosing(handler(context, request)) as items:
                    async for item in items:
                        admission.answered()
                        yield item
                        admission.waits()
                admission.answered()

        return guarded

    def _breaker(self, target: Target) -> Breaker:
        action, node_id = target.action.name, target.node_id

        def refusal(wait_s: float) -> FiresideError:
            message = f"{action} failed repeatedly on node {node_id}"
            return CircuitOpenError(message, action=action, node_id=node_id, retry_after_s=wait_s)

        return Breaker(
            policy=self._policy,
            clock=self._clock,
            gauge=self._metrics.breaker_state.labels(action, node_id),
            refused=self._metrics.breaker_refused.labels(action, node_id),
            refusal=refusal,
        )


class _Admission:
    """The way of a call, or of a stream as a context manager, through a breaker that let it in."""

    __slots__ = ("_answered", "_breaker", "_context", "_probe", "_since", "_target")

    def __init__(self, breaker: Breaker, target: Target, context: Context, *, probe: bool) -> None:
        self._breaker, self._target, self._context, self._probe = breaker, target, context, probe
        self._answered = False
        self._since = 0.0

    def __enter__(self) -> Self:
        self.waits()
        return self

    def waits(self) -> None:
        """The action is being waited for from now on."""
        if self._context.item_timeout_s is not None:
            self._since = self._context.dispatcher.clock.monotonic()

    def answered(self) -> None:
        """The action gave something."""
        if not self._answered:
            self._answered = True
            self._breaker.succeeded(probe=self._probe)
            self._probe = False

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if error is not None:
            self.failed(error)

    def failed(self, error: BaseException) -> None:
        """It ended with an error, which may speak against the action or not."""
        if isinstance(error, FiresideError):
            if _counts(error, self._target):
                self._breaker.failed(probe=self._probe)
            else:
                self._breaker.succeeded(probe=self._probe)
        elif isinstance(error, asyncio.CancelledError) and self._ran_out_of_time():
            self._breaker.failed(probe=self._probe)
        else:
            self._breaker.abandoned(probe=self._probe)

    def _ran_out_of_time(self) -> bool:
        """Whether the cancellation came from the deadline, or from the wait for the next item, and not the caller."""
        remaining_s, item_timeout_s = self._context.remaining_s, self._context.item_timeout_s
        if remaining_s is not None and remaining_s <= TIMER_SLACK_S:
            return True
        waited_s = self._context.dispatcher.clock.monotonic() - self._since
        return item_timeout_s is not None and waited_s >= item_timeout_s - TIMER_SLACK_S


def _counts(error: FiresideError, target: Target) -> bool:
    """Whether the error speaks against the action on its node.

    Not when the caller was wrong, when the node was merely busy, or when a call that the action made failed: that
    one's own breaker counts it. An error is marked with the action in which it first came up. Nor when one of several
    parts behind the action failed, because the others can still answer.
    """
    if not error.retryable or error.status < 500 or isinstance(error, RefusedError):
        return False
    name = target.action.name
    return error.details.setdefault("action", name) == name and failed_part(error) is None
