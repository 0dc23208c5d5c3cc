"""Moving windows: how often something happened in the time just past, counted where all who count can see it.

Above lie the gateway's rate limits, which decide what is counted and how often it may happen; below lies memory, or a
server that nodes share.
"""

from dataclasses import dataclass
from typing import Protocol

from fireside.core.errors import UnavailableError


class RateWindowsError(UnavailableError):
    """The counts could not be read or written."""

    code = "rate_windows_unavailable"


@dataclass(slots=True)  # not frozen: some are made for each request, and frozen ones take three times as long to make
class Window:
    """What a window shows.

    Attributes:
        hits: How many are in it now.
        admitted: Whether the hit that was asked for is among them; where none was, whether one would be.
        wait_s: Until the oldest hit leaves the window, 0 when there is none.
    """

    hits: int
    admitted: bool
    wait_s: float


class RateWindows(Protocol):
    """Counts hits under keys. Each method raises RateWindowsError when the counts cannot be reached."""

    async def hit(self, key: str, *, limit: int, window_s: float) -> Window:
        """Count a hit, unless there are as many as the limit in the window: never more, however many ask at once.

        Args:
            key: Any text.
            limit: Most hits in the window, above 0.
            window_s: Its length, always the same for a key.
        """
        ...

    async def look(self, key: str, *, limit: int, window_s: float) -> Window:
        """The window as it is, without counting."""
        ...

    async def aclose(self) -> None:
        """Let go of what is held open. Safe to call twice."""
        ...
