"""Time as a dependency that is passed in, so that nothing reads the system's clock behind a test's back."""

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the time of day and measures spans."""

    def now(self) -> datetime:
        """The current time, in UTC, with its time zone."""
        ...

    def monotonic(self) -> float:
        """Seconds since an arbitrary start, never going back: for spans and deadlines."""
        ...


class SystemClock:
    """The clock of this machine."""

    def now(self) -> datetime:
        """The current time, in UTC, with its time zone."""
        return datetime.now(UTC)

    monotonic = staticmethod(time.monotonic)
    """Seconds since an arbitrary start, never going back."""
