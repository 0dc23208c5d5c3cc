"""Tells the parts of one process that there is work, the moment it is committed, so that nobody has to poll for it."""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from typing import Literal

Work = Literal["events", "jobs", "inbox"]
"""Facts to hand on, jobs to run, received facts to handle."""


class Wakeups:
    """Listeners for each kind of work. They must return at once."""

    def __init__(self) -> None:
        self._listeners: defaultdict[Work, list[Callable[[], None]]] = defaultdict(list)

    def listen(self, work: Work, listener: Callable[[], None]) -> None:
        """Call the listener whenever there is such work."""
        self._listeners[work].append(listener)

    def forget(self, work: Work, listener: Callable[[], None]) -> None:
        """Call the listener no more."""
        if listener in self._listeners[work]:
            self._listeners[work].remove(listener)

    def wake(self, work: Work) -> None:
        """Call the listeners."""
        for listener in tuple(self._listeners[work]):
            listener()


async def wait_at_most(wake: asyncio.Event, seconds: float) -> None:
    """Wait until woken, but no longer."""
    with suppress(TimeoutError):
        # not wait_for: until Python 3.12 it loses a cancellation that comes together with the waking
        async with asyncio.timeout(seconds):
            await wake.wait()
