"""Moving windows that nodes share, and this process's own while the shared ones cannot be reached."""

from fireside.core.clock import Clock
from fireside.ports.rate_windows import RateWindows, RateWindowsError, Window
from fireside.runtime.shared_or_own import SharedOrOwn


class SharedOrOwnWindows(SharedOrOwn[RateWindows]):
    """Never fails: without the shared windows every node admits as many as the limit says, instead of all together."""

    def __init__(self, *, shared: RateWindows, own: RateWindows, clock: Clock) -> None:
        super().__init__(shared=shared, own=own, clock=clock, away=RateWindowsError, event="rate_windows_away")

    async def hit(self, key: str, *, limit: int, window_s: float) -> Window:
        """Count a hit, unless there are as many as the limit."""
        return await self._ask(lambda windows: windows.hit(key, limit=limit, window_s=window_s))

    async def look(self, key: str, *, limit: int, window_s: float) -> Window:
        """The window as it is."""
        return await self._ask(lambda windows: windows.look(key, limit=limit, window_s=window_s))

    async def _probe(self) -> None:
        await self.look("health", limit=1, window_s=1)

    async def _return(self) -> None:
        await self._shared.look("health", limit=1, window_s=1)
