"""A cache on Redis: one server, a master that Sentinel names, or a cluster.

On a cluster the cache has several parts, each in one hash slot; a key belongs to one of them by its checksum. What is
said of one value is atomic everywhere; an invalidation reaches one part after the other, and is done when it returns.
The server must not evict keys without a time to live: `maxmemory-policy` is `noeviction` or one of the `volatile-`.
"""

import asyncio
from collections.abc import Collection, Sequence
from typing import cast
from zlib import crc32

from redis.asyncio import RedisCluster

from fireside.adapters.cache import redis_scripts as scripts
from fireside.adapters.redis_clients import RedisScripts
from fireside.ports.cache import CacheError, CacheUsage, Changes, Forgotten, Look

_CLUSTER_PARTS = 16
_AT_ONCE = 500
"""Keys that one run of a script drops, so that the server is never busy for long."""


class RedisCache:
    """A `SharedCacheStore`."""

    def __init__(self, url: str, *, prefix: str = "fireside") -> None:
        """Prepare; nothing is sent yet.

        Args:
            url: See `redis_clients`.
            prefix: Begins every key, so that installations can share a server.

        Raises:
            InvalidInputError: The URL is not one of Redis.
        """
        self.prefix = prefix
        self._redis = RedisScripts(url, error=CacheError)
        count = _CLUSTER_PARTS if isinstance(self._redis.client, RedisCluster) else 1
        self._parts = tuple(f"{prefix}:{{cache-{number}}}" for number in range(count))

    async def get(self, key: str) -> bytes | None:
        """The value, or None when there is none any more."""
        async with self._redis.asking():
            return cast("bytes | None", await self._redis.client.get(f"{self._part(key)}:e:{key}"))

    async def look_up(self, key: str) -> Look:
        """The value with its tags and the time that is left to it."""
        found = await self._redis.run(scripts.LOOK_UP, self._part(key), key)
        stamp = found[0].decode()
        if len(found) == 1:
            return Look(stamp)
        _, value, left_ms, *tags = found
        return Look(stamp, value, max(int(left_ms), 0) / 1000, frozenset(tag.decode() for tag in tags))

    async def put(
        self, key: str, value: bytes, *, ttl_s: float, tags: Collection[str] = (), since: str | None = None
    ) -> bool:
        """Keep a value."""
        ttl_ms = max(1, round(ttl_s * 1000))
        return bool(
            await self._redis.run(scripts.PUT, self._part(key), key, value, ttl_ms, since or "", *sorted(set(tags)))
        )

    async def delete(self, key: str) -> None:
        """Forget one value."""
        await self._redis.run(scripts.DELETE, self._part(key), key)

    async def invalidate(self, tags: Collection[str]) -> int:
        """Forget every value that carries one of the tags; large numbers of them in several runs."""
        if not tags:
            return 0
        return sum(await asyncio.gather(*(self._invalidate_part(part, sorted(set(tags))) for part in self._parts)))

    async def clear(self) -> None:
        """Forget everything."""
        await asyncio.gather(*(self._clear_part(part) for part in self._parts))

    async def usage(self) -> CacheUsage:
        """How much is held."""
        found = await asyncio.gather(*(self._redis.run(scripts.USAGE, part) for part in self._parts))
        return CacheUsage(entries=sum(each[0] for each in found), used_bytes=sum(each[1] for each in found))

    async def changes(self, since: str | None) -> Changes:
        """What any node has forgotten since a moment; moments of the parts are joined by spaces."""
        moments = since.split() if since else [""] * len(self._parts)
        asked = zip(self._parts, moments, strict=True)
        found = await asyncio.gather(*(self._redis.run(scripts.CHANGES, part, moment) for part, moment in asked))
        names = [name.decode() for each in found for name in each[2:]]
        forgotten = Forgotten(
            keys=frozenset(name[2:] for name in names if name.startswith("k:")),
            tags=frozenset(name[2:] for name in names if name.startswith("t:")),
            everything=any(len(each) > 1 and each[1] == b"all" for each in found),
        )
        return Changes(" ".join(each[0].decode() for each in found), forgotten)

    async def aclose(self) -> None:
        """Let go of the connections."""
        await self._redis.aclose()

    async def _invalidate_part(self, part: str, tags: Sequence[str]) -> int:
        dropped, taken = await self._redis.run(scripts.INVALIDATE, part, _AT_ONCE, "first", *tags)
        while taken >= _AT_ONCE:
            more, taken = await self._redis.run(scripts.INVALIDATE, part, _AT_ONCE, "again", *tags)
            dropped += more
        return int(dropped)

    async def _clear_part(self, part: str) -> None:
        dropped = await self._redis.run(scripts.CLEAR, part, _AT_ONCE, "first")
        while dropped >= _AT_ONCE:
            dropped = await self._redis.run(scripts.CLEAR, part, _AT_ONCE, "again")

    def _part(self, key: str) -> str:
        return self._parts[crc32(key.encode()) % len(self._parts)]
