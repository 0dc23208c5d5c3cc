"""Counters of usage that nodes share, and this process's own while the shared ones cannot be reached."""

from collections.abc import Sequence

from fireside.core.clock import Clock
from fireside.core.ids import new_id
from fireside.ports.usage_counters import Claim, Level, Reserved, Settlement, UsageCounters, UsageCountersError
from fireside.runtime.shared_or_own import SharedOrOwn


class SharedOrOwnCounters(SharedOrOwn[UsageCounters]):
    """Never fails: without the shared counters each node counts by itself, beginning with what is stored.

    What calls used meanwhile is owed to the shared counters, and paid when they are back. What they counted though
    their answer was lost is counted twice: rather too much than too little.
    """

    def __init__(self, *, shared: UsageCounters, own: UsageCounters, clock: Clock) -> None:
        super().__init__(shared=shared, own=own, clock=clock, away=UsageCountersError, event="usage_counters_away")
        self._owed: dict[str, int] = {}
        self._payment = ""
        self._to_forget: set[str] = set()

    async def reserve(self, reservation: str, claims: Sequence[Claim], *, lease_s: float) -> Reserved:
        """Hold room on every counter or on none."""
        return await self._ask(lambda counters: counters.reserve(reservation, claims, lease_s=lease_s))

    async def settle(self, reservation: str, settlements: Sequence[Settlement]) -> None:
        """Give back what is still held and count what was used."""
        await self._ask(lambda counters: counters.settle(reservation, settlements))
        if self._detail:
            for item in settlements:
                self._owed[item.key] = self._owed.get(item.key, 0) + item.used

    async def seed(self, key: str, used: int, *, ttl_s: float, groups: Sequence[str] = ()) -> None:
        """Make a counter known, or let it count no less."""
        await self._ask(lambda counters: counters.seed(key, used, ttl_s=ttl_s, groups=groups))

    async def forget(self, group: str) -> None:
        """Make every counter of a group unknown; shared ones that are away, when they are back."""
        await self._ask(lambda counters: counters.forget(group))
        if self._detail:
            self._to_forget.add(group)

    async def look(self, keys: Sequence[str]) -> list[Level | None]:
        """The counters as they are."""
        return await self._ask(lambda counters: counters.look(keys))

    async def _probe(self) -> None:
        await self.look(["health"])

    async def _return(self) -> None:
        """Pay what is owed; a payment whose answer is lost is made again under its name. Own counters begin anew."""
        for group in list(self._to_forget):
            await self._shared.forget(group)
            self._to_forget.discard(group)
        self._payment = self._payment or new_id().hex
        owed = dict(self._owed)
        await self._shared.settle(self._payment, [Settlement(key, 0, used) for key, used in owed.items() if used])
        for key, used in owed.items():
            self._owed[key] -= used
        self._owed = {key: used for key, used in self._owed.items() if used}
        self._payment = self._detail = ""
        await self._own.aclose()
