"""What is left of the limits that hold for a caller."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from fireside.contracts.usage import LimitUnit
from fireside.ports.usage_counters import Level, UsageCounters
from fireside.runtime.metering.rules import Applied, window_end

_TOLD: tuple[LimitUnit, ...] = ("requests", "tokens")


@dataclass(frozen=True, slots=True)
class Allowance:
    """A limit of requests or tokens: how much it allows, and what is left until it begins anew (UTC)."""

    unit: LimitUnit
    limit: int
    remaining: int
    resets_at: datetime


async def tightest(counters: UsageCounters, applied: Sequence[Applied], now: datetime) -> list[Allowance]:
    """For requests and for tokens the limit of which least is left; none for a unit that no limit counts."""
    counted = [item for item in applied if item.limit.unit in _TOLD]
    levels = await counters.look([item.key(now) for item in counted]) if counted else []
    found = [_allowance(item, level, now) for item, level in zip(counted, levels, strict=True) if level is not None]
    return [
        min(same, key=lambda item: item.remaining)
        for unit in _TOLD
        if (same := [item for item in found if item.unit == unit])
    ]


def _allowance(item: Applied, level: Level, now: datetime) -> Allowance:
    return Allowance(item.limit.unit, item.amount, item.left(level), window_end(item.limit.window, now))
