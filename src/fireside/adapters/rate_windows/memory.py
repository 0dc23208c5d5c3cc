"""Moving windows that this process counts alone."""

from collections import deque

from fireside.core.clock import Clock
from fireside.ports.rate_windows import Window

_SWEEP_S = 60.0


class MemoryRateWindows:
    """Keeps the times of hits; those that have run out are forgotten."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._hits: dict[str, deque[float]] = {}
        self._window_s: dict[str, float] = {}
        self._swept_at = 0.0

    @property
    def keys(self) -> tuple[str, ...]:
        """What is counted at the moment."""
        return tuple(self._hits)

    async def hit(self, key: str, *, limit: int, window_s: float) -> Window:
        """Count a hit, unless there are as many as the limit."""
        now = self._clock.monotonic()
        hits = self._live(key, now, window_s)
        admitted = len(hits) < limit
        if admitted:
            hits.append(now)
            if key not in self._hits:
                self._hits[key], self._window_s[key] = hits, window_s
                self._sweep(now)
        return Window(len(hits), admitted, _wait_s(hits, now, window_s))

    async def look(self, key: str, *, limit: int, window_s: float) -> Window:
        """The window as it is."""
        now = self._clock.monotonic()
        hits = self._live(key, now, window_s)
        return Window(len(hits), len(hits) < limit, _wait_s(hits, now, window_s))

    async def aclose(self) -> None:
        """Forget every hit."""
        self._hits.clear()
        self._window_s.clear()

    def _live(self, key: str, now: float, window_s: float) -> deque[float]:
        hits = self._hits.get(key)
        if hits is None:
            return deque()
        while hits and hits[0] <= now - window_s:
            hits.popleft()
        return hits

    def _sweep(self, now: float) -> None:
        if now - self._swept_at < _SWEEP_S:
            return
        self._swept_at = now
        for key in [key for key, hits in self._hits.items() if not hits or hits[-1] <= now - self._window_s[key]]:
            del self._hits[key], self._window_s[key]


def _wait_s(hits: deque[float], now: float, window_s: float) -> float:
    return hits[0] + window_s - now if hits else 0.0
