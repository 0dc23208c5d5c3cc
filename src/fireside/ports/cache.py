"""Keeping results for a while: bytes under a key, with a time to live and tags to forget them by.

Above lies `fireside.runtime.caching`, which adds types, compression, one load for many waiters and figures, and lets
the source answer whenever this fails; below lies memory, a server that nodes share, or both.

What was forgotten stays forgotten: a value whose load began before an invalidation is not kept after it. A look at a
key gives a stamp, the moment of the look, and `put` with that stamp keeps nothing when the key or one of the tags has
been forgotten since.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Protocol

from fireside.core.errors import UnavailableError


class CacheError(UnavailableError):
    """The cache could not read or write."""

    code = "cache_unavailable"


@dataclass(frozen=True, slots=True)
class CacheUsage:
    """What a cache holds.

    Attributes:
        entries: Keys, those that have expired but were not yet removed included.
        used_bytes: Length of keys and values.
    """

    entries: int
    used_bytes: int


@dataclass(frozen=True, slots=True)
class Look:
    """What was found under a key.

    Attributes:
        stamp: The moment of the look, for a later `put` of the same key to the same store.
        value: The bytes; None when there are none.
        ttl_s: How long the value will still be kept; 0 without one.
        tags: What it can be forgotten by.
    """

    stamp: str
    value: bytes | None = None
    ttl_s: float = 0.0
    tags: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was forgotten before its time.

    Attributes:
        keys: Of single values, those that were replaced by others included.
        tags: All values that carry one of them.
        everything: The whole cache, or nobody knows what.
    """

    keys: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()
    everything: bool = False

    def __bool__(self) -> bool:
        return bool(self.keys or self.tags or self.everything)


class CacheStore(Protocol):
    """Holds values until they expire, are pushed out by newer ones, or are forgotten.

    Every method but `aclose` raises CacheError when the store does not answer.
    """

    async def get(self, key: str) -> bytes | None:
        """The value, or None when there is none any more."""
        ...

    async def look_up(self, key: str) -> Look:
        """The value with what is needed to keep a copy of it, or to keep what is loaded in its place."""
        ...

    async def put(
        self, key: str, value: bytes, *, ttl_s: float, tags: Collection[str] = (), since: str | None = None
    ) -> bool:
        """Keep a value, instead of the one that was there.

        Args:
            key: Any text.
            value: The bytes.
            ttl_s: How long to keep it, above 0.
            tags: What `invalidate` may later name.
            since: The stamp of the look before the value was loaded; None for a value that is right now.

        Returns:
            False when the key or a tag was forgotten since, and nothing was kept.
        """
        ...

    async def delete(self, key: str) -> None:
        """Forget one value; nothing happens when there is none."""
        ...

    async def invalidate(self, tags: Collection[str]) -> int:
        """Forget every value that carries one of the tags.

        Returns:
            How many were forgotten.
        """
        ...

    async def clear(self) -> None:
        """Forget everything."""
        ...

    async def usage(self) -> CacheUsage:
        """How much is held."""
        ...

    async def aclose(self) -> None:
        """Let go of what is held open. Safe to call twice."""
        ...


class NodeCacheStore(CacheStore, Protocol):
    """A cache as one node uses it: it tells the node what was forgotten, here or, within a second, elsewhere."""

    def listen(self, tell: Callable[[Forgotten], None]) -> None:
        """Have a function called whenever something was forgotten. It must return at once."""
        ...

    async def open(self) -> None:
        """Begin to follow what other nodes do. Does not fail when the store does not answer yet."""
        ...


@dataclass(frozen=True, slots=True)
class Changes:
    """What was forgotten since some moment, and the moment up to which that is known."""

    until: str
    forgotten: Forgotten


class SharedCacheStore(CacheStore, Protocol):
    """A cache on a server that nodes share."""

    async def changes(self, since: str | None) -> Changes:
        """What any node has forgotten or replaced since a moment.

        Args:
            since: `until` of the answer before; None for the first question, whose answer is that everything was.
        """
        ...
