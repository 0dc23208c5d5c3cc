"""Moving windows that nodes share, and this process's own while the shared ones cannot be reached."""

from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog

from fireside.core.clock import Clock
from fireside.ports.rate_windows import RateWindows, RateWindowsError, Window
from fireside.runtime.health import Check

log = structlog.stdlib.get_logger(__name__)

_ALONE_S = 1.0
"""How long this process counts alone before it asks the shared windows again; nobody waits for them meanwhile."""


class SharedOrOwnWindows:
    """Never fails: without the shared windows every node admits as many as the limit says, instead of all together."""

    def __init__(self, *, shared: RateWindows, own: RateWindows, clock: Clock) -> None:
        self._shared, self._own, self._clock = shared, own, clock
        self._alone_until = float("-inf")
        self._detail = ""

    async def hit(self, key: str, *, limit: int, window_s: float) -> Window:
        """Count a hit, unless there are as many as the limit."""
        return await self._ask(lambda windows: windows.hit(key, limit=limit, window_s=window_s))

    async def look(self, key: str, *, limit: int, window_s: float) -> Window:
        """The window as it is."""
        return await self._ask(lambda windows: windows.look(key, limit=limit, window_s=window_s))

    async def check(self) -> Check:
        """Whether the shared windows answer."""
        await self.look("health", limit=1, window_s=1)
        if not self._detail:
            return Check("ok")
        return Check("degraded", f"{self._detail}; this node counts alone, so limits hold for each node by itself")

    async def aclose(self) -> None:
        """Let go of both."""
        with suppress(RateWindowsError):  # a server that is away has nothing to be told
            await self._shared.aclose()
        await self._own.aclose()

    async def _ask(self, question: Callable[[RateWindows], Awaitable[Window]]) -> Window:
        if self._clock.monotonic() < self._alone_until:
            return await question(self._own)
        try:
            window = await question(self._shared)
        except RateWindowsError as error:
            if not self._detail:
                log.warning("rate_windows_away", detail=error.message)
            self._alone_until, self._detail = self._clock.monotonic() + _ALONE_S, error.message
            return await question(self._own)
        self._detail = ""
        return window
