"""A limit on bytes a second that several downloads share."""

import asyncio

from fireside.core.clock import Clock


class Throttle:
    """Lets bytes pass at a rate; whoever takes more waits for as long as they would have needed."""

    def __init__(self, bytes_per_s: int, clock: Clock) -> None:
        """Allow so many a second; any when 0."""
        self._rate, self._clock = bytes_per_s, clock
        self._free_at = 0.0

    async def take(self, count: int) -> None:
        """Wait until so many bytes may have passed."""
        if not self._rate:
            return
        now = self._clock.monotonic()
        self._free_at = max(self._free_at, now) + count / self._rate
        await asyncio.sleep(self._free_at - now)
