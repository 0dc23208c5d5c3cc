"""How well the parts of a node are, and what is wrong where."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Literal

import structlog

log = structlog.stdlib.get_logger(__name__)

HealthStatus = Literal["ok", "degraded", "failed"]

CHECK_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Check:
    """What looking at one part found.

    Attributes:
        status: `degraded` works with less than usual; `failed` does not work.
        detail: The cause, for operators; empty when all is well.
        latency_ms: How long the look took.
    """

    status: HealthStatus
    detail: str = ""
    latency_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Health:
    """How well a node is.

    Attributes:
        status: The worst of its checks.
        checks: By the name of the part: `documents.database`.
    """

    status: HealthStatus
    checks: Mapping[str, Check]

    @property
    def is_ready(self) -> bool:
        """Whether the node can serve; with less than usual is still serving."""
        return self.status != "failed"


Source = Callable[[], Awaitable[Mapping[str, Check]]]


async def collect(sources: Mapping[str, Source], *, timeout_s: float = CHECK_TIMEOUT_S) -> Health:
    """Look at all parts at once.

    Args:
        sources: By name of the part; each gives checks by a short name of their own.
        timeout_s: A part that takes longer to tell has failed.
    """
    results = await asyncio.gather(*(_look(name, source, timeout_s) for name, source in sources.items()))
    checks = {name: check for result in results for name, check in result.items()}
    return Health(_worst(check.status for check in checks.values()), checks)


async def _look(name: str, source: Source, timeout_s: float) -> dict[str, Check]:
    started = perf_counter()
    try:
        async with asyncio.timeout(timeout_s):
            checks = await source()
    except TimeoutError:
        return {name: Check("failed", f"did not answer within {timeout_s} s", timeout_s * 1000)}
    except Exception as error:  # a part whose check breaks is broken
        log.exception("health_check_failed", part=name)
        return {name: Check("failed", f"the check failed with {type(error).__name__}")}
    took_ms = round((perf_counter() - started) * 1000, 3)
    return {
        f"{name}.{short}": check if check.latency_ms is not None else replace(check, latency_ms=took_ms)
        for short, check in checks.items()
    }


def _worst(statuses: Iterable[HealthStatus]) -> HealthStatus:
    found = set(statuses)
    if "failed" in found:
        return "failed"
    return "degraded" if "degraded" in found else "ok"
