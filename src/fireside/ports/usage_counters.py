"""Counters of what was used in a window of time, with room held for calls under way, where all who count can see it.

Above lies the meter, which decides what is counted and how much is allowed; below lies memory, or a server that nodes
share. A counter is known once it was seeded with what was used before; until then nothing can be reserved on it, so
that counters which are lost are begun anew from what is stored, never from nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from fireside.core.errors import UnavailableError


class UsageCountersError(UnavailableError):
    """The counters could not be read or written."""

    code = "usage_counters_unavailable"


@dataclass(frozen=True, slots=True)
class Claim:
    """What a call may come to use: `amount` of a counter of which no more than `limit` may be used and held."""

    key: str
    amount: int
    limit: int


@dataclass(frozen=True, slots=True)
class Level:
    """A counter: `used` by calls that have ended, `held` for calls under way."""

    used: int
    held: int


@dataclass(frozen=True, slots=True)
class Reserved:
    """What became of a reservation; it is held when both are empty, and else nothing is.

    Attributes:
        unknown: Keys of counters that must be seeded first.
        full: Counters without room for what was claimed.
    """

    unknown: tuple[str, ...] = ()
    full: tuple[tuple[str, Level], ...] = ()


@dataclass(frozen=True, slots=True)
class Settlement:
    """The end of a claim: what was `held` of a counter, and what was `used` in truth."""

    key: str
    held: int
    used: int


class UsageCounters(Protocol):
    """Counts under keys. Each method raises UsageCountersError when the counters cannot be reached."""

    async def reserve(self, reservation: str, claims: Sequence[Claim], *, lease_s: float) -> Reserved:
        """Hold room on every counter or on none, however many ask at once.

        Args:
            reservation: Names it; asking again with the same name changes nothing.
            claims: At most one a counter. A claim of 0 needs a counter that is not overdrawn, and holds nothing.
            lease_s: When the room is free again if nobody settles.
        """
        ...

    async def settle(self, reservation: str, settlements: Sequence[Settlement]) -> None:
        """Give back what is still held and count what was used; once for a name, within a minute.

        A counter that is not known stays unknown: whoever seeds it counts this by what is stored.
        """
        ...

    async def seed(self, key: str, used: int, *, ttl_s: float, groups: Sequence[str] = ()) -> None:
        """Make a counter known, with what was used so far, for a time; one that is known counts no less from then on.

        Args:
            key: Names it.
            used: What was used so far.
            ttl_s: How long it is kept.
            groups: Under which names it can be forgotten together with others.
        """
        ...

    async def forget(self, group: str) -> None:
        """Make every counter of a group unknown, with what is held on it."""
        ...

    async def look(self, keys: Sequence[str]) -> list[Level | None]:
        """The counters as they are, None for those that are not known."""
        ...

    async def aclose(self) -> None:
        """Let go of what is held open. Safe to call twice."""
        ...
