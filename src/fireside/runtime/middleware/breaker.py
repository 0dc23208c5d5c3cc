"""Leaves an action alone for a while after it failed too often on a node.

Own code because the libraries looked at (purgatory, aiobreaker, pybreaker) let every call through once the wait is
over; here one call probes and the others are refused until it has answered.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, ClassVar, Self

from fireside.core.clock import Clock
from fireside.core.errors import FiresideError
from fireside.runtime.context import Context
from fireside.runtime.errors import CircuitOpenError, RefusedError
from fireside.runtime.metrics import Metrics
from fireside.runtime.middleware.base import Handler, Middleware, Place, StreamHandler, Target

TIMER_SLACK_S = 0.01
"""How much earlier than it should an event loop's timer may fire."""


class BreakerState(IntEnum):
    """As the metric `fireside_breaker_state` shows it."""

    CLOSED = 0
    HALF_OPEN = 1
    OPEN = 2


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """When a breaker opens, and for how long.

    Attributes:
        failures: Failures in a row that open it.
        open_s: How long it refuses every call before one may probe.
    """

    failures: int = 5
    open_s: float = 10.0


class Breaker:
    """The breaker of one action on one node."""

    def __init__(self, target: Target, *, policy: BreakerPolicy, clock: Clock, metrics: Metrics) -> None:
        self._action, self._node_id = target.action.name, target.node_id
        self._policy, self._clock = policy, clock
        self._gauge = metrics.breaker_state.labels(self._action, self._node_id)
        self._refused = metrics.breaker_refused.labels(self._action, self._node_id)
        self._failures = 0
        self._opened_at = 0.0
        self._probing = False
        self._state = BreakerState.CLOSED
        self._enter(BreakerState.CLOSED)

    @property
    def state(self) -> BreakerState:
        """What the next call will find, unless the wait is over by then."""
        return self._state

    def admit(self) -> bool:
        """Let a call through, or refuse it.

        Returns:
            Whether this call is the probe.

        Raises:
            CircuitOpenError: The wait is not over, or another call is probing; `details` says when to come back.
        """
        if self._state is BreakerState.CLOSED:
            return False
        wait_s = self._opened_at + self._policy.open_s - self._clock.monotonic()
        if self._probing or (self._state is BreakerState.OPEN and wait_s > 0):
            self._refused.inc()
            raise CircuitOpenError(
                f"{self._action} failed repeatedly on node {self._node_id}",
                action=self._action,
                node_id=self._node_id,
                retry_after_s=round(max(wait_s, 0.1), 1),
            )
        self._probing = True
        self._enter(BreakerState.HALF_OPEN)
        return True

    def succeeded(self, *, probe: bool) -> None:
        """A call answered, if only to say that its caller was wrong."""
        self._failures = 0
        if probe:
            self._probing = False
            self._enter(BreakerState.CLOSED)

    def failed(self, *, probe: bool) -> None:
        """A call did not answer, or could not. Stragglers from before the breaker opened change nothing."""
        if not probe and self._state is not BreakerState.CLOSED:
            return
        self._failures += 1
        if probe or self._failures >= self._policy.failures:
            self._probing = False
            self._opened_at = self._clock.monotonic()
            self._enter(BreakerState.OPEN)

    def abandoned(self, *, probe: bool) -> None:
        """A caller lost interest, which says nothing about the action; the next call may probe."""
        if probe:
            self._probing = False

    def _enter(self, state: BreakerState) -> None:
        self._state = state
        self._gauge.set(state)


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
        return Breaker(target, policy=self._policy, clock=self._clock, metrics=self._metrics)


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
    one's own breaker counts it. An error is marked with the action in which it first came up.
    """
    if not error.retryable or error.status < 500 or isinstance(error, RefusedError):
        return False
    name = target.action.name
    return error.details.setdefault("action", name) == name
