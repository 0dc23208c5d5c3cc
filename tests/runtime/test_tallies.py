from collections.abc import Callable

import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from fireside.runtime.tallies import Spans, Tallies

BOUNDS_S = (0.001, 0.5, 1.0, 10.0)


def rendered(fill: Callable[[CollectorRegistry], None]) -> list[str]:
    """What a registry shows, without the times at which the library's own figures were made."""
    registry = CollectorRegistry()
    fill(registry)
    return [line for line in generate_latest(registry).decode().splitlines() if "_created" not in line]


def test_tallies_are_shown_as_the_librarys_own_counters() -> None:
    def count(counter: Counter | Tallies) -> None:
        counter.labels("a", "ok").inc()
        counter.labels("a", "ok").inc(2)
        counter.labels("b", 'odd "name"').inc(0)

    ours = rendered(lambda registry: count(Tallies("calls", "Calls.", ("action", "code"), registry=registry)))

    assert ours == rendered(lambda registry: count(Counter("calls", "Calls.", ("action", "code"), registry=registry)))
    assert 'calls_total{action="a",code="ok"} 3.0' in ours


def test_spans_are_shown_as_the_librarys_own_histograms() -> None:
    def observe(histogram: Histogram | Spans) -> None:
        for seconds in (0.0, 0.001, 0.0011, 0.5, 9.0, 11.0):
            histogram.labels("a").observe(seconds)
        histogram.labels("never")

    ours = rendered(lambda registry: observe(Spans("s", "S.", ("action",), bounds_s=BOUNDS_S, registry=registry)))

    assert ours == rendered(
        lambda registry: observe(Histogram("s", "S.", ("action",), registry=registry, buckets=BOUNDS_S))
    )
    assert 's_bucket{action="a",le="0.001"} 2.0' in ours


def test_a_name_is_not_given_twice() -> None:
    registry = CollectorRegistry()
    Tallies("calls", "Calls.", (), registry=registry)

    with pytest.raises(ValueError, match="Duplicated"):
        Tallies("calls", "Calls.", (), registry=registry)
