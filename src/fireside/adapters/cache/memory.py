"""A cache in this process: the least recently used value goes first when room is short."""

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Collection
from dataclasses import dataclass

from fireside.core.clock import Clock, SystemClock
from fireside.ports.cache import CacheUsage, Forgotten, Look

_REMEMBERED = 10_000
"""How many of the latest forgotten keys and tags are known by name; of older ones only that there were some."""


@dataclass(frozen=True, slots=True)
class _Entry:
    value: bytes
    expires_at: float
    tags: frozenset[str]


class MemoryCache:
    """Bounded in entries and in bytes; expired values are removed when met."""

    def __init__(self, *, max_entries: int = 50_000, max_bytes: int = 64 * 1024**2, clock: Clock | None = None) -> None:
        self._max_entries, self._max_bytes = max_entries, max_bytes
        self._clock = clock or SystemClock()
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._keys_by_tag: dict[str, set[str]] = defaultdict(set)
        self._used_bytes = 0
        self._listeners: list[Callable[[Forgotten], None]] = []
        self._moment = 0
        self._marks: OrderedDict[str, int] = OrderedDict()
        self._unknown_before = 0

    @property
    def keys(self) -> tuple[str, ...]:
        """What is held, expired values included, the least recently used first."""
        return tuple(self._entries)

    def listen(self, tell: Callable[[Forgotten], None]) -> None:
        """Have a function called whenever something was forgotten."""
        self._listeners.append(tell)

    async def open(self) -> None:
        """Nothing needs to be opened."""

    async def get(self, key: str) -> bytes | None:
        """The value, which thereby counts as used; None when there is none or it has expired."""
        entry = self._live(key)
        return None if entry is None else entry.value

    async def look_up(self, key: str) -> Look:
        """The value, which thereby counts as used, with its tags and the time that is left to it."""
        stamp = str(self._moment)
        entry = self._live(key)
        if entry is None:
            return Look(stamp)
        return Look(stamp, entry.value, entry.expires_at - self._clock.monotonic(), entry.tags)

    async def put(
        self, key: str, value: bytes, *, ttl_s: float, tags: Collection[str] = (), since: str | None = None
    ) -> bool:
        """Keep a value and push out the least recently used ones until it fits; too large a value is not kept."""
        if since is not None and self._was_forgotten(key, tags, int(since)):
            return False
        before = self._entries.get(key)
        self._remove(key)
        if before is not None and before.value != value:
            self._note(Forgotten(keys=frozenset({key})))
        if _size(key, value) > self._max_bytes:
            return True
        self._entries[key] = _Entry(value, self._clock.monotonic() + ttl_s, frozenset(tags))
        self._used_bytes += _size(key, value)
        for tag in tags:
            self._keys_by_tag[tag].add(key)
        while len(self._entries) > self._max_entries or self._used_bytes > self._max_bytes:
            self._remove(next(iter(self._entries)))
        return True

    async def delete(self, key: str) -> None:
        """Forget one value."""
        self._remove(key)
        self._note(Forgotten(keys=frozenset({key})))

    async def invalidate(self, tags: Collection[str]) -> int:
        """Forget every value that carries one of the tags."""
        keys = {key for tag in tags for key in self._keys_by_tag.get(tag, ())}
        for key in keys:
            self._remove(key)
        self._note(Forgotten(tags=frozenset(tags)))
        return len(keys)

    async def clear(self) -> None:
        """Forget everything."""
        self._empty()
        self._note(Forgotten(everything=True))

    async def usage(self) -> CacheUsage:
        """How much is held."""
        return CacheUsage(entries=len(self._entries), used_bytes=self._used_bytes)

    async def aclose(self) -> None:
        """Forget everything, and tell nobody."""
        self._empty()

    def forget(self, forgotten: Forgotten) -> None:
        """Forget what was forgotten elsewhere, at once."""
        if forgotten.everything:
            self._empty()
        for key in forgotten.keys:
            self._remove(key)
        for key in {key for tag in forgotten.tags for key in self._keys_by_tag.get(tag, ())}:
            self._remove(key)

    def _empty(self) -> None:
        self._entries.clear()
        self._keys_by_tag.clear()
        self._used_bytes = 0

    def _live(self, key: str) -> _Entry | None:
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry.expires_at <= self._clock.monotonic():
            self._remove(key)
            return None
        self._entries.move_to_end(key)
        return entry

    def _note(self, forgotten: Forgotten) -> None:
        if not forgotten:
            return
        self._moment += 1
        if forgotten.everything:
            self._unknown_before = self._moment
            self._marks.clear()
        for name in _names(forgotten.keys, forgotten.tags):
            self._marks[name] = self._moment
            self._marks.move_to_end(name)
        while len(self._marks) > _REMEMBERED:
            self._unknown_before = self._marks.popitem(last=False)[1]
        for tell in self._listeners:
            tell(forgotten)

    def _was_forgotten(self, key: str, tags: Collection[str], since: int) -> bool:
        """Whether the key or a tag was, or may have been, forgotten after the moment."""
        if since < self._unknown_before:
            return True
        return any(self._marks.get(name, 0) > since for name in _names([key], tags))

    def _remove(self, key: str) -> None:
        entry = self._entries.pop(key, None)
        if entry is None:
            return
        self._used_bytes -= _size(key, entry.value)
        for tag in entry.tags:
            keys = self._keys_by_tag[tag]
            keys.discard(key)
            if not keys:
                del self._keys_by_tag[tag]


def _names(keys: Collection[str], tags: Collection[str]) -> list[str]:
    return [*(f"k:{key}" for key in keys), *(f"t:{tag}" for tag in tags)]


def _size(key: str, value: bytes) -> int:
    return len(key.encode()) + len(value)
