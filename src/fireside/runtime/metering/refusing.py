"""What is said to somebody for whom a limit has no room: which limit, what is left of it, and when it begins anew."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from fireside.contracts.usage import NANO, LimitUnit
from fireside.ports.usage_counters import Level
from fireside.runtime.metering.errors import LimitExceededError
from fireside.runtime.metering.rules import Applied, window_end
from fireside.runtime.metering.settings import Limit

_SOON_S = 5
"""When to come back where only calls under way take the room."""


@dataclass(frozen=True, slots=True)
class Full:
    """A limit, what a call may take of it, and its counter, which has no room for that."""

    applied: Applied
    wanted: int
    level: Level


def refusal(full: Sequence[Full], now: datetime, *, currency: str) -> LimitExceededError:
    """The error for the one of these limits that lasts longest."""
    worst = max(full, key=lambda item: window_end(item.applied.limit.window, now))
    limit, level = worst.applied.limit, worst.level
    resets_at = window_end(limit.window, now)
    wait_s = max(1, math.ceil((resets_at - now).total_seconds()))
    left = worst.applied.left(level)
    if level.used + worst.wanted <= worst.applied.amount:
        wait_s = min(wait_s, _SOON_S)
    unit = currency if limit.unit == "cost" else limit.unit
    shown = [_number(limit.unit, amount) for amount in (worst.applied.amount, left, worst.wanted)]
    text = (
        f"the limit of {shown[0]} {unit} each {limit.window} {whose(limit)} has no room for this: {shown[1]} left, up"
        f" to {shown[2]} needed; it begins anew at {resets_at:%Y-%m-%d %H:%M} UTC"
    )
    return LimitExceededError(
        text,
        retry_after_s=wait_s,
        limit=in_unit(limit.unit, worst.applied.amount),
        remaining=in_unit(limit.unit, left),
        unit=limit.unit,
        window=limit.window,
        scope=limit.scope,
        limited_model=limit.model,
        resets_at=resets_at.isoformat(),
    )


def whose(limit: Limit) -> str:
    """Whom a limit is for, in words for the one who reaches it."""
    people = {
        "all": "for everybody together",
        "role": f"for all with the role {limit.who} together",
        "key": "for this API key",
    }.get(limit.scope, "for you")
    return f"{people} with {limit.model}" if limit.model else people


def in_unit(unit: LimitUnit, amount: int) -> float:
    """An amount of a counter as people count it: costs in the currency."""
    return amount / NANO if unit == "cost" else amount


def _number(unit: LimitUnit, amount: int) -> str:
    return f"{amount / NANO:.6f}".rstrip("0").rstrip(".") if unit == "cost" else str(amount)
