"""The lines of a node to a provider, one to each address: whether it may be asked there now, and every request."""

from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Literal, Self

from fireside.contracts.providers import ProviderHealth
from fireside.core.errors import FiresideError, TooManyRequestsError
from fireside.runtime.breaker import Breaker, BreakerPolicy, BreakerState
from fireside.runtime.errors import RefusedError
from fireside.services.inference.errors import ProviderRestingError
from fireside.services.inference.provider_record import ProviderRecord

POLICY = BreakerPolicy(failures=3, open_s=10.0)
_LONGEST_REST_S = 24 * 3600.0
_STATES: dict[BreakerState, Literal["closed", "half_open", "open"]] = {
    BreakerState.CLOSED: "closed",
    BreakerState.HALF_OPEN: "half_open",
    BreakerState.OPEN: "open",
}


class ProviderLine:
    """The one line to an address of a provider from a node; every request there goes through an `Attempt`.

    Addresses fail, and reach their limits, each for itself: one that is gone takes nothing from the others.
    """

    def __init__(self, provider: ProviderRecord, address: str = "") -> None:
        """Begin with a closed breaker.

        Args:
            provider: Whose line it is.
            address: Where it leads, for people; empty when the provider has only one.
        """
        self.provider, self.address = provider, address
        self._resting: dict[str, float] = {}
        self.breaker = Breaker(
            policy=POLICY,
            clock=provider.clock,
            gauge=provider.gauge(),
            refused=provider.metrics.provider_refused.labels(provider.name),
            refusal=self._refusal,
        )

    def wait_s(self, model: str) -> float | None:
        """For how many seconds a model of it is not to be asked; None when it may be."""
        return self.breaker.wait_s or self._rest_s(model)

    def require_ready(self, model: str) -> None:
        """Pass when a model may be asked.

        Raises:
            ProviderRestingError: It is left alone; `details` says when to come back.
        """
        wait_s = self.wait_s(model)
        if wait_s is not None:
            raise self._refusal(wait_s)

    def attempt(self, model: str) -> "Attempt":
        """A request to a model, as a context.

        Raises:
            ProviderRestingError: It is left alone, or another request tries whether it is well again.
        """
        if rest_s := self._rest_s(model):
            raise self._refusal(rest_s)
        return Attempt(self, self.breaker, model, probe=self.breaker.admit())

    def rest(self, model: str, seconds: float) -> None:
        """Leave a model alone for a while."""
        self._resting[model] = self.provider.clock.monotonic() + min(seconds, _LONGEST_REST_S)

    def resting(self) -> dict[str, float]:
        """Models that are left alone because of its limit, with the seconds left."""
        models = list(self._resting)
        return {model: round(wait_s, 1) for model in models if (wait_s := self._rest_s(model))}

    def _rest_s(self, model: str) -> float | None:
        until = self._resting.get(model)
        if until is None:
            return None
        wait_s = until - self.provider.clock.monotonic()
        if wait_s <= 0:
            del self._resting[model]
            return None
        return wait_s

    def _refusal(self, wait_s: float) -> ProviderRestingError:
        name = self.provider.name
        message = f"the provider {name} is left alone for now: it failed repeatedly, or its limit was reached"
        return ProviderRestingError(message, retry_after_s=max(1, round(wait_s)))


class Attempt:
    """One request to an address of a provider: tells the breaker how it went."""

    __slots__ = ("_answered", "_breaker", "_line", "_model", "_probe")

    def __init__(self, line: ProviderLine, breaker: Breaker, model: str, *, probe: bool) -> None:
        self._line, self._breaker, self._model, self._probe = line, breaker, model, probe
        self._answered = False

    def __enter__(self) -> Self:
        self._line.provider.running += 1
        return self

    def answered(self) -> None:
        """The provider gave something, if only to say that the request is wrong."""
        if not self._answered:
            self._answered = True
            self._breaker.succeeded(probe=self._probe)
            self._probe = False

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._line.provider.running -= 1
        if error is None:
            self.answered()
            self._line.provider.note_answer()
        elif isinstance(error, TooManyRequestsError):
            self.answered()
            self._line.rest(self._model, float(error.details.get("retry_after_s") or 1))
            self._line.provider.note_failure(error, self._line.address)
        elif isinstance(error, FiresideError):
            self._failed(error)
        else:
            self._breaker.abandoned(probe=self._probe)

    def _failed(self, error: FiresideError) -> None:
        if isinstance(error, RefusedError):  # this node was too busy, which says nothing about the provider
            self._breaker.abandoned(probe=self._probe)
        elif error.retryable:
            self._breaker.failed(probe=self._probe)
            self._line.provider.note_failure(error, self._line.address)
        else:
            self.answered()


def health_of(lines: Sequence[ProviderLine], node_id: str) -> ProviderHealth:
    """How a provider does, by the lines to its addresses: the worst state, and how long nobody can be asked."""
    record = lines[0].provider
    waits = [line.breaker.wait_s for line in lines]
    left_alone = tuple(line.address for line, wait_s in zip(lines, waits, strict=True) if wait_s is not None)
    return ProviderHealth(
        name=record.name,
        node_id=node_id,
        state=_STATES[max(line.breaker.state for line in lines)],
        wait_s=min((wait_s for wait_s in waits if wait_s is not None), default=None) if all(waits) else None,
        left_alone=left_alone if len(lines) > 1 else (),
        resting=_longest(line.resting() for line in lines),
        running=record.running,
        answers=record.answers,
        failures=record.failures,
        failures_in_a_row=max(line.breaker.failures for line in lines),
        last_error=record.last_error,
        last_error_at=record.last_error_at,
        last_answer_at=record.last_answer_at,
        first_word_ms=None if record.first_word_s is None else round(record.first_word_s * 1000, 1),
        tokens_per_s=None if record.tokens_per_s is None else round(record.tokens_per_s, 1),
    )


def _longest(rests: Iterable[dict[str, float]]) -> dict[str, float]:
    longest: dict[str, float] = {}
    for rest in rests:
        longest |= {model: max(wait_s, longest.get(model, 0.0)) for model, wait_s in rest.items()}
    return longest
