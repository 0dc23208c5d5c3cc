"""What the gateway asks of the node it runs on: its health and its metrics."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from fireside.runtime.health import Health, HealthStatus

READINESS: dict[HealthStatus, str] = {"ok": "ready", "degraded": "degraded", "failed": "failed"}
"""How a node's health is called where orchestrators ask."""


@dataclass(frozen=True, slots=True)
class Probes:
    """Ways to look at the node.

    Attributes:
        health: Looks at every part.
        metrics: All metrics in Prometheus' text format.
    """

    health: Callable[[], Awaitable[Health]]
    metrics: Callable[[], bytes]
