"""What nodes share, and this process's own in its place while the shared one cannot be reached."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Generic, Protocol, TypeVar

import structlog

from fireside.core.clock import Clock
from fireside.core.errors import FiresideError
from fireside.runtime.health import Check

log = structlog.stdlib.get_logger(__name__)

_ALONE_S = 1.0
"""How long this process goes on alone before it asks the shared one again; nobody waits for that meanwhile."""


class Closable(Protocol):
    """What holds connections, or could."""

    async def aclose(self) -> None:
        """Let go of them."""
        ...


PartT = TypeVar("PartT", bound=Closable)
AnswerT = TypeVar("AnswerT")


class SharedOrOwn(ABC, Generic[PartT]):
    """Asks the shared part, and its own when that one raises the error by which it says that it is away."""

    def __init__(self, *, shared: PartT, own: PartT, clock: Clock, away: type[FiresideError], event: str) -> None:
        """Prepare; `event` is what the log says when the shared part goes away."""
        self._shared, self._own, self._clock = shared, own, clock
        self._away, self._event = away, event
        self._alone_until = float("-inf")
        self._detail = ""
        self._returning = asyncio.Lock()

    async def check(self) -> Check:
        """Whether the shared one answers."""
        await self._probe()
        if not self._detail:
            return Check("ok")
        return Check("degraded", f"{self._detail}; this node counts alone, so limits hold for each node by itself")

    async def aclose(self) -> None:
        """Let go of both."""
        with suppress(self._away):  # a server that is away has nothing to be told
            await self._shared.aclose()
        await self._own.aclose()

    async def _ask(self, question: Callable[[PartT], Awaitable[AnswerT]]) -> AnswerT:
        if self._is_alone:
            return await question(self._own)
        try:
            if self._detail and not await self._has_returned():
                return await question(self._own)
            return await question(self._shared)
        except self._away as error:
            if not self._detail:
                log.warning(self._event, detail=error.message)
            self._alone_until, self._detail = self._clock.monotonic() + _ALONE_S, error.message
            return await question(self._own)

    @property
    def _is_alone(self) -> bool:
        return self._clock.monotonic() < self._alone_until

    async def _has_returned(self) -> bool:
        """Have one of those who ask see to the return; the others wait, and go on alone when it failed meanwhile."""
        async with self._returning:
            if self._detail:
                if self._is_alone:
                    return False
                await self._return()
                self._alone_until, self._detail = float("-inf"), ""
        return True

    @abstractmethod
    async def _probe(self) -> None:
        """Ask something that changes nothing."""

    @abstractmethod
    async def _return(self) -> None:
        """See that the shared one is back, and have it know what it missed; never called twice at once."""
