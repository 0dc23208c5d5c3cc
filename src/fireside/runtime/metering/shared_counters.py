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
        self._payment: tuple[str, dict[str, int]] | None = None
        self._to_forget: set[str] = set()

    async def reserve(self, reservation: str, claims: Sequence[Claim], *, lease_s: float) -> Reserved:
        """Hold room on every counter or on none."""
        return await self._ask(lambda counters: counters.reserve(reservation, claims, lease_s=lease_s))

    async def settle(self, reservation: str, settlements: Sequence[Settlement]) -> None:
        """Give back what is still held and count what was used."""

        async def settle(counters: UsageCounters) -> None:
            await counters.settle(reservation, settlements)
            if counters is self._own:
                for item in settlements:
                    self._owed[item.key] = self._owed.get(item.key, 0) + item.used

        await self._ask(settle)

    async def seed(self, key: str, used: int, *, ttl_s: float, groups: Sequence[str] = ()) -> None:
        """Make a counter known, or let it count no less."""
        await self._ask(lambda counters: counters.seed(key, used, ttl_s=ttl_s, groups=groups))

    async def forget(self, group: str) -> None:
        """Make every counter of a group unknown; shared ones that are away, when they are back."""

        async def forget(counters: UsageCounters) -> None:
            await counters.forget(group)
            if counters is self._own:
                self._to_forget.add(group)

        await self._ask(forget)

    async def look(self, keys: Sequence[str]) -> list[Level | None]:
        """The counters as they are."""
        return await self._ask(lambda counters: counters.look(keys))

    async def _probe(self) -> None:
        await self.look(["health"])

    async def _return(self) -> None:
        """Pay what is owed, also what comes to be owed meanwhile. Own counters begin anew."""
        await self._shared.look(["health"])
        while self._to_forget or self._payment or self._owed:
            for group in list(self._to_forget):
                await self._shared.forget(group)
                self._to_forget.discard(group)
            await self._pay()
        await self._own.aclose()

    async def _pay(self) -> None:
        """Pay once; a payment whose answer is lost is made again as it was, under its name."""
        if self._payment is None:
            self._payment, self._owed = (new_id().hex, self._owed), {}
        name, owed = self._payment
        await self._shared.settle(name, [Settlement(key, 0, used) for key, used in owed.items() if used])
        self._payment = None
