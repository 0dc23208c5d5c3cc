"""Two caches as one: memory of this process in front of a server that nodes share.

What other nodes forget is read from the server several times a second. As long as that succeeds, memory answers;
when it does not, nothing here is believed, and the source answers until the server is back. See
`docs/decisions/caches-follow-a-list-of-what-was-forgotten.md`.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Collection
from typing import TypeVar

import structlog

from fireside.adapters.cache.memory import MemoryCache
from fireside.core.clock import Clock, SystemClock
from fireside.core.tasks import end
from fireside.ports.cache import CacheError, CacheUsage, Forgotten, Look, SharedCacheStore

log = structlog.stdlib.get_logger(__name__)

ResultT = TypeVar("ResultT")

FOLLOW_INTERVAL_S = 0.2
BELIEVE_S = 0.8
"""How long memory is believed after what other nodes forgot was last read."""
_AGAIN_S = 30.0
"""How far back a node repeats what it forgot, when the server was away: its successor may not know."""
_REPEATED = 10_000
"""How much a node can repeat; what is more makes it forget everything."""


class TieredCache:
    """A `NodeCacheStore` over a `SharedCacheStore`."""

    def __init__(
        self,
        near: MemoryCache,
        far: SharedCacheStore,
        *,
        clock: Clock | None = None,
        follow_interval_s: float = FOLLOW_INTERVAL_S,
    ) -> None:
        """Prepare; `open` begins to follow what other nodes do.

        Args:
            near: Memory of this process.
            far: What nodes share.
            clock: Tells how old the latest news are.
            follow_interval_s: Time between two looks at what other nodes forgot.
        """
        self._near, self._far = near, far
        self._clock = clock or SystemClock()
        self._interval_s = follow_interval_s
        self._listeners: list[Callable[[Forgotten], None]] = []
        self._following: asyncio.Task[None] | None = None
        self._until: str | None = None
        self._heard_at = float("-inf")
        self._changes = 0
        self._away: CacheError | None = CacheError("the shared cache was not reached yet")
        self._recent: deque[tuple[float, Forgotten]] = deque()

    def listen(self, tell: Callable[[Forgotten], None]) -> None:
        """Have a function called whenever something was forgotten, here or on another node."""
        self._listeners.append(tell)

    async def open(self) -> None:
        """Begin to follow; a server that does not answer yet is tried again and again."""
        if self._following is None:
            await self._catch_up()
            self._following = asyncio.create_task(self._follow())

    async def get(self, key: str) -> bytes | None:
        """The value, from memory where it may be believed."""
        return (await self.look_up(key)).value

    async def look_up(self, key: str) -> Look:
        """The value, from memory where it may be believed. A copy of what the server had is kept in memory."""
        if self._clock.monotonic() - self._heard_at < BELIEVE_S:
            near = await self._near.look_up(key)
            if near.value is not None:
                return near
        changes = self._changes
        found = await self._ask(lambda: self._far.look_up(key))
        if found.value is not None and found.ttl_s > 0 and changes == self._changes:
            await self._near.put(key, found.value, ttl_s=found.ttl_s, tags=found.tags)
        return found

    async def put(
        self, key: str, value: bytes, *, ttl_s: float, tags: Collection[str] = (), since: str | None = None
    ) -> bool:
        """Keep a value on the server, and a copy in memory."""
        changes = self._changes
        kept = await self._ask(lambda: self._far.put(key, value, ttl_s=ttl_s, tags=tags, since=since))
        if kept and changes == self._changes:
            await self._near.put(key, value, ttl_s=ttl_s, tags=tags)
        else:
            self._near.forget(Forgotten(keys=frozenset({key})))
        return kept

    async def delete(self, key: str) -> None:
        """Forget one value; what the server could not be told is told as soon as it is back."""
        await self._forget(Forgotten(keys=frozenset({key})), lambda: self._far.delete(key))

    async def invalidate(self, tags: Collection[str]) -> int:
        """Forget every value that carries one of the tags; what the server could not be told is told later."""
        return await self._forget(Forgotten(tags=frozenset(tags)), lambda: self._far.invalidate(tags))

    async def clear(self) -> None:
        """Forget everything."""
        await self._forget(Forgotten(everything=True), self._far.clear)

    async def usage(self) -> CacheUsage:
        """How much the server holds."""
        return await self._ask(self._far.usage)

    async def aclose(self) -> None:
        """End to follow and let go of the connections."""
        await end(self._following)
        self._following = None
        await self._far.aclose()

    async def _forget(self, forgotten: Forgotten, tell_server: Callable[[], Awaitable[ResultT]]) -> ResultT:
        self._remember(forgotten)
        try:
            return await self._ask(tell_server)
        finally:
            self._apply(forgotten)

    async def _ask(self, question: Callable[[], Awaitable[ResultT]]) -> ResultT:
        """Ask the server, unless it is known to be away: then nobody waits for it."""
        if self._away is not None:
            raise CacheError(self._away.message)
        try:
            return await question()
        except CacheError as error:
            self._note_away(error)
            raise

    def _note_away(self, error: CacheError) -> None:
        if self._away is None:
            log.warning("shared_cache_away", detail=error.message)
        self._away = error
        self._heard_at = float("-inf")

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(self._interval_s)
            try:
                await self._catch_up()
            except Exception:  # the outermost loop: without it memory would never be believed again
                log.exception("shared_cache_not_followed")

    async def _catch_up(self) -> None:
        """Read what was forgotten since the last time; after an absence, first repeat what this node forgot."""
        asked_at = self._clock.monotonic()
        try:
            if self._away is not None:
                await self._repeat()
            changes = await self._far.changes(self._until)
        except CacheError as error:
            self._note_away(error)
            return
        first, self._until = self._until is None, changes.until
        if self._away is not None and not first:
            log.info("shared_cache_back")
        self._away, self._heard_at = None, asked_at
        if changes.forgotten:
            self._apply(Forgotten() if first else changes.forgotten)

    async def _repeat(self) -> None:
        for _, forgotten in tuple(self._recent):
            if forgotten.everything:
                await self._far.clear()
            for key in forgotten.keys:
                await self._far.delete(key)
            await self._far.invalidate(forgotten.tags)

    def _remember(self, forgotten: Forgotten) -> None:
        self._drop_old()
        if len(self._recent) >= _REPEATED:
            self._recent.clear()
            forgotten = Forgotten(everything=True)
        self._recent.append((self._clock.monotonic(), forgotten))

    def _drop_old(self) -> None:
        while self._recent and self._away is None and self._recent[0][0] < self._clock.monotonic() - _AGAIN_S:
            self._recent.popleft()

    def _apply(self, forgotten: Forgotten) -> None:
        self._changes += 1
        self._near.forget(forgotten)
        for tell in self._listeners if forgotten else ():
            tell(forgotten)
