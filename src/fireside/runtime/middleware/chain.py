"""The middlewares of every node, in their order.

Tracing, metrics and logging see everything; identity comes before anything is read. Fallback stands outside what may
fail for it, the deadline outside all attempts, and the cache before what guards the action itself, so that a cached
answer takes no place and passes an open breaker.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from fireside.core.clock import Clock, SystemClock
from fireside.runtime.breaker import BreakerPolicy
from fireside.runtime.caching import Cache
from fireside.runtime.metrics import Metrics
from fireside.runtime.middleware.base import Middleware
from fireside.runtime.middleware.breaker import BreakerMiddleware
from fireside.runtime.middleware.bulkhead import BulkheadMiddleware, BulkheadPolicy
from fireside.runtime.middleware.cache import CacheMiddleware
from fireside.runtime.middleware.fallback import FallbackMiddleware
from fireside.runtime.middleware.identity import IdentityMiddleware
from fireside.runtime.middleware.logging import LoggingMiddleware
from fireside.runtime.middleware.metrics import MetricsMiddleware
from fireside.runtime.middleware.retry import RetryMiddleware, RetryPolicy
from fireside.runtime.middleware.timeout import TimeoutMiddleware
from fireside.runtime.middleware.validation import ValidationMiddleware


@dataclass(frozen=True)
class Tools:
    """What a node's middlewares work with; each has a default that needs nothing.

    Attributes:
        metrics: Where to count.
        clock: Measures spans and deadlines.
        cache: Where cacheable actions keep their responses; they are not cached without one.
        tracing: `fireside.runtime.tracing.TracingMiddleware`, when traces are wanted.
        retry: How often and how soon to try again.
        breaker: When to leave an action alone.
        bulkhead: How many calls of one action to take.
    """

    metrics: Metrics = field(default_factory=Metrics)
    clock: Clock = field(default_factory=SystemClock)
    cache: Cache | None = None
    tracing: Middleware | None = None
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    breaker: BreakerPolicy = field(default_factory=BreakerPolicy)
    bulkhead: BulkheadPolicy = field(default_factory=BulkheadPolicy)


def make_chain(tools: Tools) -> Sequence[Middleware]:
    """The middlewares, outermost first."""
    chain = [
        tools.tracing,
        MetricsMiddleware(tools.metrics),
        LoggingMiddleware(),
        IdentityMiddleware(),
        ValidationMiddleware(),
        FallbackMiddleware(tools.metrics),
        TimeoutMiddleware(),
        RetryMiddleware(tools.metrics, tools.retry),
        None if tools.cache is None else CacheMiddleware(tools.cache),
        BreakerMiddleware(tools.metrics, tools.clock, tools.breaker),
        BulkheadMiddleware(tools.metrics, tools.bulkhead),
    ]
    return tuple(middleware for middleware in chain if middleware is not None)
