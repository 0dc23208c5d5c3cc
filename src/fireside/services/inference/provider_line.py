"""What a node knows of one provider of models: whether it may be asked now, and how it did so far."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Literal, Self

from fireside.contracts.providers import ProviderHealth, ProviderLimits
from fireside.core.clock import Clock
from fireside.core.errors import FiresideError, TooManyRequestsError
from fireside.runtime.breaker import Breaker, BreakerPolicy, BreakerState
from fireside.runtime.errors import RefusedError
from fireside.runtime.metrics import Metrics
from fireside.services.inference.errors import ProviderRestingError

POLICY = BreakerPolicy(failures=3, open_s=10.0)
_LONGEST_REST_S = 24 * 3600.0
_STATES: dict[BreakerState, Literal["closed", "half_open", "open"]] = {
    BreakerState.CLOSED: "closed",
    BreakerState.HALF_OPEN: "half_open",
    BreakerState.OPEN: "open",
}
_SHARE = 0.2
"""How much the newest answer counts in an average."""


@dataclass(slots=True)
class Record:
    """How requests went."""

    running: int = 0
    answers: int = 0
    failures: int = 0
    last_error: str = ""
    last_error_at: datetime | None = None
    last_answer_at: datetime | None = None
    first_word_s: float | None = None
    tokens_per_s: float | None = None


class ProviderLine:
    """The one line to a provider from a node; every request to it goes through an `Attempt`."""

    def __init__(
        self,
        name: str,
        *,
        limits: ProviderLimits,
        clock: Clock,
        metrics: Metrics,
        policy: BreakerPolicy = POLICY,
        secrets: Collection[str] = (),
    ) -> None:
        """Begin with a closed breaker.

        Args:
            name: Of the provider.
            limits: How long answers may take.
            clock: Measures.
            metrics: Where to count.
            policy: When the breaker opens.
            secrets: What must not be shown when an error repeats it.
        """
        self.name, self.limits, self.clock = name, limits, clock
        self.record = Record()
        self._metrics, self._secrets = metrics, [secret for secret in secrets if secret]
        self._resting: dict[str, float] = {}
        self._breaker = Breaker(
            policy=policy,
            clock=clock,
            gauge=metrics.provider_state.labels(name),
            refused=metrics.provider_refused.labels(name),
            refusal=self._refusal,
        )

    def wait_s(self, model: str) -> float | None:
        """For how many seconds a model of it is not to be asked; None when it may be."""
        return self._breaker.wait_s or self._rest_s(model)

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
        return Attempt(self, self._breaker, model, probe=self._breaker.admit())

    def rest(self, model: str, seconds: float) -> None:
        """Leave a model alone for a while."""
        self._resting[model] = self.clock.monotonic() + min(seconds, _LONGEST_REST_S)

    def note_first_word(self, seconds: float) -> None:
        """Note how long the first word of an answer took."""
        self._metrics.provider_first_word_seconds.labels(self.name).observe(seconds)
        self.record.first_word_s = _average(self.record.first_word_s, seconds)

    def note_speed(self, tokens: int, seconds: float) -> None:
        """Note an answer of so many tokens that took so long from its first one."""
        if tokens > 1 and seconds > 0:
            self.record.tokens_per_s = _average(self.record.tokens_per_s, (tokens - 1) / seconds)

    def note_answer(self) -> None:
        """Count an answer."""
        self._metrics.provider_requests.labels(self.name, "ok").inc()
        self.record.answers += 1
        self.record.last_answer_at = self.clock.now()

    def note_failure(self, error: FiresideError) -> None:
        """Count a request that the provider failed, or refused for its limit."""
        self._metrics.provider_requests.labels(self.name, error.code).inc()
        message = error.message
        for secret in self._secrets:
            message = message.replace(secret, "…")
        self.record.failures += 1
        self.record.last_error, self.record.last_error_at = message, self.clock.now()

    def health(self, node_id: str) -> ProviderHealth:
        """How it does."""
        record, models = self.record, list(self._resting)
        resting = {model: round(wait_s, 1) for model in models if (wait_s := self._rest_s(model))}
        return ProviderHealth(
            name=self.name,
            node_id=node_id,
            state=_STATES[self._breaker.state],
            wait_s=self._breaker.wait_s,
            resting=resting,
            running=record.running,
            answers=record.answers,
            failures=record.failures,
            failures_in_a_row=self._breaker.failures,
            last_error=record.last_error,
            last_error_at=record.last_error_at,
            last_answer_at=record.last_answer_at,
            first_word_ms=None if record.first_word_s is None else round(record.first_word_s * 1000, 1),
            tokens_per_s=None if record.tokens_per_s is None else round(record.tokens_per_s, 1),
        )

    def _rest_s(self, model: str) -> float | None:
        until = self._resting.get(model)
        if until is None:
            return None
        wait_s = until - self.clock.monotonic()
        if wait_s <= 0:
            del self._resting[model]
            return None
        return wait_s

    def _refusal(self, wait_s: float) -> ProviderRestingError:
        message = f"the provider {self.name} is left alone for now: it failed repeatedly, or its limit was reached"
        return ProviderRestingError(message, retry_after_s=max(1, round(wait_s)))


class Attempt:
    """One request to a provider: tells the breaker how it went."""

    __slots__ = ("_answered", "_breaker", "_line", "_model", "_probe")

    def __init__(self, line: ProviderLine, breaker: Breaker, model: str, *, probe: bool) -> None:
        self._line, self._breaker, self._model, self._probe = line, breaker, model, probe
        self._answered = False

    def __enter__(self) -> Self:
        self._line.record.running += 1
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
        self._line.record.running -= 1
        if error is None:
            self.answered()
            self._line.note_answer()
        elif isinstance(error, TooManyRequestsError):
            self.answered()
            self._line.rest(self._model, float(error.details.get("retry_after_s") or 1))
            self._line.note_failure(error)
        elif isinstance(error, FiresideError):
            self._failed(error)
        else:
            self._breaker.abandoned(probe=self._probe)

    def _failed(self, error: FiresideError) -> None:
        if isinstance(error, RefusedError):  # this node was too busy, which says nothing about the provider
            self._breaker.abandoned(probe=self._probe)
        elif error.retryable:
            self._breaker.failed(probe=self._probe)
            self._line.note_failure(error)
        else:
            self.answered()


def _average(known: float | None, newest: float) -> float:
    return newest if known is None else known + _SHARE * (newest - known)
