"""Events that are seldom waited for."""

import asyncio


class Notice:
    """As `asyncio.Event`, which is made only when somebody waits: one for each of many streams takes 0.7 KB."""

    __slots__ = ("_event", "_is_set")

    def __init__(self) -> None:
        """Begin without anything to notice."""
        self._is_set = False
        self._event: asyncio.Event | None = None

    def is_set(self) -> bool:
        """Whether there is something to notice."""
        return self._is_set

    def set(self) -> None:
        """Have something noticed; whoever waits goes on."""
        self._is_set = True
        if self._event is not None:
            self._event.set()
            self._event = None

    def clear(self) -> None:
        """Begin anew."""
        self._is_set = False

    async def wait(self) -> None:
        """Wait until there is something to notice."""
        if not self._is_set:
            self._event = self._event or asyncio.Event()
            await self._event.wait()
