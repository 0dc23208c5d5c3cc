"""A breaker: what fails too often is left alone for a while, then one call tries whether it is well again.

Own code because the libraries looked at (purgatory, aiobreaker, pybreaker) let every call through once the wait is
over; here one call probes and the others are refused until it has answered.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from prometheus_client import Counter

from fireside.core.clock import Clock
from fireside.core.errors import FiresideError

Refusal = Callable[[float], FiresideError]


class BreakerState(IntEnum):
    """As the metric `fireside_breaker_state` shows it."""

    CLOSED = 0
    HALF_OPEN = 1
    OPEN = 2


class StateGauge(Protocol):
    """Shows the state of a breaker; a gauge of Prometheus does."""

    def set(self, value: float) -> None:
        """The state is this one from now on."""
        ...


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
    """Counts failures in a row, and refuses calls while there were too many."""

    def __init__(
        self, *, policy: BreakerPolicy, clock: Clock, gauge: StateGauge, refused: Counter, refusal: Refusal
    ) -> None:
        """Begin closed.

        Args:
            policy: When it opens, and for how long.
            clock: Measures that.
            gauge: Shows the state.
            refused: Counts the calls that were refused.
            refusal: Makes the error of a refused call of the seconds after which to come back.
        """
        self._policy, self._clock = policy, clock
        self._gauge, self._refused, self._refusal = gauge, refused, refusal
        self._failures = 0
        self._opened_at = 0.0
        self._probing = False
        self._state = BreakerState.CLOSED
        self._enter(BreakerState.CLOSED)

    @property
    def state(self) -> BreakerState:
        """What the next call will find, unless the wait is over by then."""
        return self._state

    @property
    def failures(self) -> int:
        """How many calls failed in a row."""
        return self._failures

    @property
    def wait_s(self) -> float | None:
        """After how many seconds to come back; None when a call would be let through now."""
        if self._state is BreakerState.CLOSED:
            return None
        wait_s = self._opened_at + self._policy.open_s - self._clock.monotonic()
        if self._probing or (self._state is BreakerState.OPEN and wait_s > 0):
            return round(max(wait_s, 0.1), 1)
        return None

    def admit(self) -> bool:
        """Let a call through, or refuse it.

        Returns:
            Whether this call is the probe.

        Raises:
            FiresideError: The wait is not over, or another call is probing; what `refusal` makes of it.
        """
        wait_s = self.wait_s
        if wait_s is not None:
            self._refused.inc()
            raise self._refusal(wait_s)
        if self._state is BreakerState.CLOSED:
            return False
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
