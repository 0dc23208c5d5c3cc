"""Counters of what was used, that this process keeps alone."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from fireside.core.clock import Clock
from fireside.ports.usage_counters import Claim, Level, Reserved, Settlement

_SWEEP_S = 60.0
_SETTLED_S = 60.0


@dataclass(slots=True)
class _Counter:
    """`holds` has the amount and the end of each reservation, by its name; times are of the monotonic clock."""

    used: int
    ends: float
    groups: frozenset[str] = frozenset()
    holds: dict[str, tuple[int, float]] = field(default_factory=lambda: dict[str, tuple[int, float]]())

    def level(self, now: float) -> Level:
        for name in [name for name, (_, ends) in self.holds.items() if ends <= now]:
            del self.holds[name]
        return Level(self.used, sum(amount for amount, _ in self.holds.values()))


class MemoryUsageCounters:
    """Keeps counters until their time is over."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._counters: dict[str, _Counter] = {}
        self._settled: dict[str, float] = {}
        self._swept_at = 0.0

    @property
    def keys(self) -> tuple[str, ...]:
        """What is counted at the moment."""
        return tuple(self._counters)

    async def reserve(self, reservation: str, claims: Sequence[Claim], *, lease_s: float) -> Reserved:
        """Hold room on every counter or on none."""
        now = self._clock.monotonic()
        found = [(claim, self._find(claim.key, now)) for claim in claims]
        unknown = tuple(claim.key for claim, counter in found if counter is None)
        if unknown:
            return Reserved(unknown=unknown)
        known = [(claim, counter) for claim, counter in found if counter is not None]
        if any(reservation in counter.holds for _, counter in known):
            return Reserved()
        levels = [(claim, counter.level(now)) for claim, counter in known]
        full = tuple((claim.key, level) for claim, level in levels if _overdrawn(claim, level))
        if full:
            return Reserved(full=full)
        for claim, counter in known:
            if claim.amount:
                counter.holds[reservation] = (claim.amount, now + lease_s)
        return Reserved()

    async def settle(self, reservation: str, settlements: Sequence[Settlement]) -> None:
        """Give back what is still held and count what was used."""
        now = self._clock.monotonic()
        self._sweep(now)
        if reservation in self._settled:
            return
        self._settled[reservation] = now + _SETTLED_S
        for settlement in settlements:
            counter = self._find(settlement.key, now)
            if counter is not None:
                counter.holds.pop(reservation, None)
                counter.used += settlement.used

    async def seed(self, key: str, used: int, *, ttl_s: float, groups: Sequence[str] = ()) -> None:
        """Make a counter known, or let it count no less."""
        now = self._clock.monotonic()
        counter = self._find(key, now)
        if counter is None:
            self._counters[key] = _Counter(used, now + ttl_s, frozenset(groups))
        else:
            counter.used = max(counter.used, used)

    async def forget(self, group: str) -> None:
        """Make every counter of a group unknown."""
        self._counters = {key: counter for key, counter in self._counters.items() if group not in counter.groups}

    async def look(self, keys: Sequence[str]) -> list[Level | None]:
        """The counters as they are."""
        now = self._clock.monotonic()
        found = [self._find(key, now) for key in keys]
        return [None if counter is None else counter.level(now) for counter in found]

    async def aclose(self) -> None:
        """Forget every counter."""
        self._counters.clear()
        self._settled.clear()

    def _find(self, key: str, now: float) -> _Counter | None:
        counter = self._counters.get(key)
        return None if counter is None or counter.ends <= now else counter

    def _sweep(self, now: float) -> None:
        if now - self._swept_at < _SWEEP_S:
            return
        self._swept_at = now
        self._counters = {key: counter for key, counter in self._counters.items() if counter.ends > now}
        self._settled = {name: ends for name, ends in self._settled.items() if ends > now}


def _overdrawn(claim: Claim, level: Level) -> bool:
    return level.used + level.held + claim.amount > claim.limit
