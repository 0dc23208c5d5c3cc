"""Counters and histograms for what happens with every call: exact, and several times cheaper than the library's own.

`prometheus_client` takes a lock for each figure. These are only ever changed on the thread of the event loop, so that
they need none; they are collected into the same registry.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector


class Tally:
    """One figure that only grows."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0

    def inc(self, amount: int = 1) -> None:
        """Count so many more."""
        self.value += amount


class Tallies(Collector):
    """A counter with labels."""

    def __init__(self, name: str, documentation: str, labels: Sequence[str], *, registry: CollectorRegistry) -> None:
        self._name, self._documentation, self._labels = name, documentation, labels
        self._children: dict[tuple[str, ...], Tally] = {}
        registry.register(self)

    def labels(self, *values: str) -> Tally:
        """The figure with these labels."""
        found = self._children.get(values)
        if found is None:
            found = self._children[values] = Tally()
        return found

    def describe(self) -> Iterable[Metric]:
        """Prometheus': the metric without its figures."""
        return [CounterMetricFamily(self._name, self._documentation, labels=self._labels)]

    def collect(self) -> Iterable[Metric]:
        """Prometheus': the figures as they stand."""
        family = CounterMetricFamily(self._name, self._documentation, labels=self._labels)
        for values, child in tuple(self._children.items()):
            family.add_metric(values, child.value)
        return [family]


class Span:
    """How long something took, each time."""

    __slots__ = ("_bounds_s", "counts", "sum_s")

    def __init__(self, bounds_s: Sequence[float]) -> None:
        self._bounds_s = bounds_s
        self.counts = [0] * (len(bounds_s) + 1)
        self.sum_s = 0.0

    def observe(self, seconds: float) -> None:
        """Count one more."""
        self.counts[bisect_left(self._bounds_s, seconds)] += 1
        self.sum_s += seconds


class Spans(Collector):
    """A histogram of seconds with labels."""

    def __init__(
        self,
        name: str,
        documentation: str,
        labels: Sequence[str],
        *,
        bounds_s: Sequence[float],
        registry: CollectorRegistry,
    ) -> None:
        self._name, self._documentation, self._labels, self._bounds_s = name, documentation, labels, bounds_s
        self._children: dict[tuple[str, ...], Span] = {}
        registry.register(self)

    def labels(self, *values: str) -> Span:
        """The figures with these labels."""
        found = self._children.get(values)
        if found is None:
            found = self._children[values] = Span(self._bounds_s)
        return found

    def describe(self) -> Iterable[Metric]:
        """Prometheus': the metric without its figures."""
        return [HistogramMetricFamily(self._name, self._documentation, labels=self._labels)]

    def collect(self) -> Iterable[Metric]:
        """Prometheus': the figures as they stand."""
        family = HistogramMetricFamily(self._name, self._documentation, labels=self._labels)
        names = [*map(str, self._bounds_s), "+Inf"]
        for values, child in tuple(self._children.items()):
            family.add_metric(values, list(zip(names, accumulate(child.counts), strict=True)), child.sum_s)
        return [family]
