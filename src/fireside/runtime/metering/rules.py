"""Which limits hold for a call, which counters they look at, and what tokens cost. No I/O.

Windows are those of the calendar in UTC: what is counted equals what usage shows for the same hours, a counter that was
lost can be seeded from it to the last token, and everybody can tell when a day ends. Bursts are the business of the
gateway's moving windows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from fireside.contracts.answer import Usage
from fireside.contracts.usage import NANO, LimitUnit, LimitWindow, UsageSum
from fireside.core.identity import Identity
from fireside.ports.usage_counters import Level
from fireside.runtime.metering.settings import EACH, Limit, MeteringSettings

_REMEMBERED = 4096


@dataclass(frozen=True, slots=True)
class Spent:
    """What a call used, or may come to use: whole requests, tokens and billionths of the currency."""

    requests: int
    tokens: int
    cost_nano: int

    def of(self, unit: LimitUnit) -> int:
        """The amount that a limit of this unit counts."""
        if unit == "requests":
            return self.requests
        return self.tokens if unit == "tokens" else self.cost_nano


@dataclass(frozen=True, slots=True)
class Applied:
    """A limit that holds for a call, with the counter that it looks at.

    Attributes:
        limit: The limit.
        scope: Whose usage is counted: of `all`, a `user`, a `role` or a `key`.
        who: Which.
        amount: How much may be used, as the counter counts it.
    """

    limit: Limit
    scope: str
    who: str
    amount: int

    @property
    def is_personal(self) -> bool:
        """Whether only one user's usage counts: the user's own, or that with a key of theirs."""
        return self.scope in {"user", "key"}

    def left(self, level: Level) -> int:
        """How much there is room for at a level of the counter."""
        return max(0, self.amount - level.used - level.held)

    def key(self, at: datetime) -> str:
        """The key of the counter of the window that a moment lies in."""
        limit = self.limit
        since = window_start(limit.window, at)
        return f"{self.scope}|{self.who}|{limit.model or EACH}|{limit.unit}|{limit.window}|{since:%Y%m%d%H}"

    def sum(self, at: datetime) -> UsageSum:
        """What a counter of that window begins with."""
        values: dict[str, Any] = {"scope": self.scope, "who": self.who, "model": self.limit.model}
        return UsageSum(**values, unit=self.limit.unit, since=window_start(self.limit.window, at))


class Rules:
    """The limits and prices as they are at the moment."""

    def __init__(self, settings: MeteringSettings) -> None:
        self._settings = settings
        self._limits: tuple[Limit, ...] = ()
        self._found: dict[tuple[Identity, str], tuple[Applied, ...]] = {}

    @property
    def currency(self) -> str:
        """What costs are in."""
        return self._settings.currency

    @property
    def models(self) -> frozenset[str]:
        """Models that have a limit of their own."""
        return frozenset(limit.model for limit in self._settings.limits if limit.model is not None)

    def applying(self, identity: Identity, model: str) -> tuple[Applied, ...]:
        """The limits that hold for a call. Without any limit, this takes next to no time.

        Of the limits for one person alone the most specific holds: one for the user before one for members of a role
        before one for everybody; among equals the largest. All others hold beside each other.
        """
        limits = self._settings.limits
        if not limits or identity.user_id is None:
            return ()
        if limits is not self._limits:
            self._limits = limits
            self._found.clear()
        key = (identity, model)
        found = self._found.get(key)
        if found is None:
            if len(self._found) >= _REMEMBERED:
                self._found.clear()
            found = self._found[key] = _applying(limits, identity, model)
        return found

    def cost_nano(self, model: str, usage: Usage) -> int | None:
        """What tokens cost, in billionths of the currency; None for a model without a price."""
        price = self._settings.prices.get(model)
        if price is None:
            return None
        cached = price.prompt if price.cached is None else price.cached
        fresh_tokens = max(0, usage.prompt_tokens - usage.cached_tokens)
        millionths = fresh_tokens * price.prompt + usage.cached_tokens * cached
        millionths += usage.completion_tokens * price.completion
        return round(millionths * (NANO // 1_000_000))


def window_start(window: LimitWindow, at: datetime) -> datetime:
    """When the hour, day or month began that a moment (UTC) lies in."""
    hour = at.replace(minute=0, second=0, microsecond=0)
    if window == "hour":
        return hour
    return hour.replace(hour=0) if window == "day" else hour.replace(hour=0, day=1)


def window_end(window: LimitWindow, at: datetime) -> datetime:
    """When it ends."""
    start = window_start(window, at)
    if window == "hour":
        return start + timedelta(hours=1)
    return start + timedelta(days=1) if window == "day" else (start + timedelta(days=32)).replace(day=1)


def _applying(limits: Sequence[Limit], identity: Identity, model: str) -> tuple[Applied, ...]:
    best: dict[tuple[str | None, ...], tuple[tuple[int, int], Applied]] = {}
    for limit in limits:
        if limit.model not in {None, model}:
            continue
        who, rank = _subject(limit, identity)
        scope = "user" if limit.scope == "member" else limit.scope
        place, amount = (scope, who, limit.model, limit.unit, limit.window), _counted(limit)
        if who and (place not in best or (rank, amount) > best[place][0]):
            best[place] = ((rank, amount), Applied(limit, scope, who, amount))
    return tuple(applied for _, applied in best.values())


def _counted(limit: Limit) -> int:
    """The amount as the counter counts it."""
    return round(limit.amount * NANO) if limit.unit == "cost" else int(limit.amount)


def _subject(limit: Limit, identity: Identity) -> tuple[str, int]:
    """Whose counter a limit looks at for a caller, empty for nobody's, and how specific the limit is."""
    if limit.scope == "all":
        return EACH, 0
    if limit.scope == "role":
        return (limit.who if limit.who in identity.roles else ""), 0
    if limit.scope == "member":
        return (str(identity.user_id) if limit.who in identity.roles else ""), 1
    own = identity.user_id if limit.scope == "user" else identity.api_key_id
    if own is None or limit.who not in {EACH, str(own)}:
        return "", 0
    return str(own), 0 if limit.who == EACH else 2
