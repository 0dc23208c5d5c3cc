"""How a provider did so far, as a node has seen it, at whichever of its addresses."""

from collections.abc import Callable, Collection
from datetime import datetime

from fireside.contracts.providers import ProviderLimits
from fireside.core.clock import Clock
from fireside.core.errors import FiresideError
from fireside.runtime.breaker import StateGauge
from fireside.runtime.metrics import Metrics

_SHARE = 0.2
"""How much the newest answer counts in an average."""


class ProviderRecord:
    """What a provider is, and how its requests went.

    Attributes:
        name: Of the provider.
        limits: How long its answers may take.
        clock: Measures.
        metrics: Where to count.
        running: Requests that it is answering.
        answers: How many it gave.
        failures: How often it failed, or refused for its limit.
        last_error: In words; of a provider with several addresses it begins with the one that failed.
        first_word_s: How long first words take, an average in which later ones count more.
        tokens_per_s: Likewise how fast it writes.
    """

    def __init__(
        self,
        name: str,
        *,
        limits: ProviderLimits,
        clock: Clock,
        metrics: Metrics,
        secrets: Collection[str] = (),
    ) -> None:
        """Begin with nothing.

        Args:
            name: Of the provider.
            limits: How long answers may take.
            clock: Measures.
            metrics: Where to count.
            secrets: What must not be shown when an error repeats it.
        """
        self.name, self.limits, self.clock, self.metrics = name, limits, clock, metrics
        self.running = self.answers = self.failures = 0
        self.last_error = ""
        self.last_error_at: datetime | None = None
        self.last_answer_at: datetime | None = None
        self.first_word_s: float | None = None
        self.tokens_per_s: float | None = None
        self._secrets = [secret for secret in secrets if secret]
        self._states: list[_AddressState] = []

    def gauge(self) -> StateGauge:
        """What shows the breaker of one more address; the metrics have the worst of all addresses."""
        state = _AddressState(self._show)
        self._states.append(state)
        return state

    def _show(self) -> None:
        self.metrics.provider_state.labels(self.name).set(max(state.value for state in self._states))

    def note_first_word(self, seconds: float) -> None:
        """Note how long the first word of an answer took."""
        self.metrics.provider_first_word_seconds.labels(self.name).observe(seconds)
        self.first_word_s = _average(self.first_word_s, seconds)

    def note_speed(self, tokens: int, seconds: float) -> None:
        """Note an answer of so many tokens that took so long from its first one."""
        if tokens > 1 and seconds > 0:
            self.tokens_per_s = _average(self.tokens_per_s, (tokens - 1) / seconds)

    def note_answer(self) -> None:
        """Count an answer."""
        self.metrics.provider_requests.labels(self.name, "ok").inc()
        self.answers += 1
        self.last_answer_at = self.clock.now()

    def note_failure(self, error: FiresideError, address: str) -> None:
        """Count a request that the provider failed, or refused for its limit, at an address; empty for its only one."""
        self.metrics.provider_requests.labels(self.name, error.code).inc()
        message = f"{address}: {error.message}" if address else error.message
        for secret in self._secrets:
            message = message.replace(secret, "…")
        self.failures += 1
        self.last_error, self.last_error_at = message, self.clock.now()


class _AddressState:
    def __init__(self, changed: Callable[[], None]) -> None:
        self.value, self._changed = 0.0, changed

    def set(self, value: float) -> None:
        self.value = value
        self._changed()


def _average(known: float | None, newest: float) -> float:
    return newest if known is None else known + _SHARE * (newest - known)
