"""What a node counts, in Prometheus' terms, in a registry that is passed in."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from fireside.runtime.tallies import Spans, Tallies

LATENCY_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Metrics:
    """Rate, errors and duration per action and per HTTP route; the state of breakers, queues and caches.

    `place` says where a call was measured: local (both ends here), serve (for another node), send (to another).
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self._make_call_metrics()
        self._make_guard_metrics()
        self._make_provider_metrics()
        self._make_mesh_metrics()
        self._make_http_metrics()
        self._make_cache_metrics()

    def render(self) -> bytes:
        """All figures in Prometheus' text format."""
        return generate_latest(self.registry)

    def observe_route(self, *, method: str, route: str, status: int, seconds: float) -> None:
        """Count one HTTP request.

        Args:
            method: Upper case.
            route: The route's template, never the path itself: `/api/v1/documents/{document_id}`.
            status: Of the response.
            seconds: From the first byte received to the last byte sent.
        """
        self.http_requests.labels(method, route, str(status)).inc()
        self.http_seconds.labels(method, route).observe(seconds)

    def _make_call_metrics(self) -> None:
        labels = ("action", "place")
        self.calls = Tallies(
            "fireside_calls", "Calls that ended, by error code or ok.", (*labels, "code"), registry=self.registry
        )
        self.call_seconds = Spans(
            "fireside_call_seconds",
            "Time from call to answer, or to the end of the stream.",
            labels,
            bounds_s=LATENCY_BUCKETS_S,
            registry=self.registry,
        )
        self.stream_items = Tallies("fireside_stream_items", "Items of streams.", labels, registry=self.registry)

    def _make_guard_metrics(self) -> None:
        self.retries = Counter("fireside_retries", "Attempts after the first.", ("action",), registry=self.registry)
        self.fallbacks = Counter(
            "fireside_fallbacks", "Answers given by a fallback.", ("action", "code"), registry=self.registry
        )
        self.breaker_state = Gauge(
            "fireside_breaker_state",
            "0 closed, 1 half open, 2 open.",
            ("action", "node"),
            registry=self.registry,
        )
        self.breaker_refused = Counter(
            "fireside_breaker_refused", "Calls refused by a breaker.", ("action", "node"), registry=self.registry
        )
        self.bulkhead_active = Gauge(
            "fireside_bulkhead_active", "Calls being worked on.", ("action",), registry=self.registry
        )
        self.bulkhead_waiting = Gauge(
            "fireside_bulkhead_waiting", "Calls waiting for a place.", ("action",), registry=self.registry
        )
        self.bulkhead_refused = Counter(
            "fireside_bulkhead_refused", "Calls refused for want of a place.", ("action",), registry=self.registry
        )

    def _make_provider_metrics(self) -> None:
        labels = ("provider",)
        self.provider_state = Gauge(
            "fireside_provider_breaker_state", "0 closed, 1 half open, 2 open.", labels, registry=self.registry
        )
        self.provider_refused = Counter(
            "fireside_provider_refused", "Requests that a provider's breaker refused.", labels, registry=self.registry
        )
        self.provider_requests = Tallies(
            "fireside_provider_requests",
            "Requests to providers of models, by error code or ok.",
            (*labels, "code"),
            registry=self.registry,
        )
        self.provider_first_word_seconds = Spans(
            "fireside_provider_first_word_seconds",
            "Time to the first word of a provider's answer.",
            labels,
            bounds_s=LATENCY_BUCKETS_S,
            registry=self.registry,
        )

    def _make_mesh_metrics(self) -> None:
        self.nodes = Gauge("fireside_mesh_nodes", "Other nodes known and alive.", registry=self.registry)
        self.packets = Tallies("fireside_mesh_packets", "Packets.", ("command", "direction"), registry=self.registry)
        self.packets_dropped = Counter(
            "fireside_mesh_packets_dropped", "Packets not acted on.", ("reason",), registry=self.registry
        )
        self.signals_dropped = Counter(
            "fireside_mesh_signals_dropped", "Signals lost to a full mailbox.", ("topic",), registry=self.registry
        )
        self.node_latency_seconds = Gauge(
            "fireside_mesh_node_latency_seconds", "Round trip to another node.", ("node",), registry=self.registry
        )

    def _make_http_metrics(self) -> None:
        self.http_requests = Tallies(
            "fireside_http_requests", "HTTP requests.", ("method", "route", "status"), registry=self.registry
        )
        self.http_seconds = Spans(
            "fireside_http_request_seconds",
            "Time to the last byte.",
            ("method", "route"),
            bounds_s=LATENCY_BUCKETS_S,
            registry=self.registry,
        )

    def _make_cache_metrics(self) -> None:
        self.cache_reads = Counter(
            "fireside_cache_reads",
            "Reads, by outcome: hit, miss, shared (waited for another's load), error.",
            ("namespace", "outcome"),
            registry=self.registry,
        )
        self.cache_read_seconds = Histogram(
            "fireside_cache_read_seconds",
            "Time to look a value up.",
            ("namespace",),
            registry=self.registry,
            buckets=(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5),
        )
        self.cache_bytes = Counter(
            "fireside_cache_written_bytes",
            "Bytes of values written: plain as they were, stored after compression.",
            ("namespace", "form"),
            registry=self.registry,
        )
        self.cache_outdated = Counter(
            "fireside_cache_outdated_loads",
            "Values not kept because they were forgotten while they were loaded.",
            ("namespace",),
            registry=self.registry,
        )
        self.cache_warmed = Counter(
            "fireside_cache_warmed",
            "How often what is kept warm was loaded: after a start, and after the cache was emptied.",
            ("warmer",),
            registry=self.registry,
        )
        self.cache_up = Gauge("fireside_cache_up", "1 when the cache answered last.", registry=self.registry)
        self.cache_entries = Gauge("fireside_cache_entries", "Values held.", registry=self.registry)
        self.cache_used_bytes = Gauge("fireside_cache_used_bytes", "Bytes held.", registry=self.registry)
