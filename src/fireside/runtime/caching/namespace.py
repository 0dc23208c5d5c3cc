"""Values of one type in the cache, loaded once for all who miss at the same time."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from pydantic import TypeAdapter, ValidationError

from fireside.ports.cache import Forgotten

ValueT = TypeVar("ValueT")


class StoredBytes(Protocol):
    """What a read found. See `cache.Stored`."""

    @property
    def value(self) -> bytes | None:
        """The bytes."""
        ...

    @property
    def stamp(self) -> str | None:
        """The moment of the read."""
        ...


class BytesCache(Protocol):
    """What a namespace stands on. See `cache.Cache`."""

    async def read(self, namespace: str, key: str) -> StoredBytes:
        """What is stored under a key."""
        ...

    async def write(
        self, namespace: "CacheNamespace[ValueT]", key: str, value: bytes, *, tags: Collection[str], since: str | None
    ) -> None:
        """Store bytes."""
        ...

    async def forget(self, key: str) -> None:
        """Forget one value."""
        ...

    def count(self, namespace: str, outcome: str) -> None:
        """Count a read."""
        ...


class CacheNamespace(Generic[ValueT]):
    """Values of one type.

    Attributes:
        name: Stands before every key and in the metrics.
    """

    def __init__(
        self, cache: BytesCache, name: str, adapter: TypeAdapter[ValueT], ttl_s: float | Callable[[], float]
    ) -> None:
        self.name, self._ttl_s = name, ttl_s
        self._cache, self._adapter = cache, adapter
        self._loads: dict[str, _Load[ValueT]] = {}

    @property
    def ttl_s(self) -> float:
        """How long a value is kept that is stored now."""
        return self._ttl_s() if callable(self._ttl_s) else self._ttl_s

    async def get(self, key: str) -> ValueT | None:
        """The value, or None when it is not cached; None itself is never kept."""
        value, _ = await self._read(key)
        self._cache.count(self.name, "miss" if value is None else "hit")
        return value

    async def put(self, key: str, value: ValueT, *, tags: Collection[str] = ()) -> None:
        """Keep a value that is right now; one that was loaded a while ago comes in through `get_or_load`."""
        await self._write(key, value, tags, since=None)

    async def delete(self, key: str) -> None:
        """Forget one value."""
        await self._cache.forget(self._key(key))

    async def get_or_load(
        self, key: str, load: Callable[[], Awaitable[ValueT]], *, tags: Collection[str] = ()
    ) -> ValueT:
        """The cached value, or the one that `load` gives, which is then kept.

        However many ask for one key at once, `load` runs once; its error reaches all of them and is not kept. It is
        cancelled when the last of them has gone. When the key or a tag is forgotten while it runs, those who ask after
        that get a load of their own, and what the first one gives is not kept.
        """
        value, stamp = await self._read(key)
        if value is not None:
            self._cache.count(self.name, "hit")
            return value
        running = self._loads.get(key)
        self._cache.count(self.name, "miss" if running is None else "shared")
        if running is None:
            task = asyncio.create_task(self._load(key, load, tags, stamp))
            running = self._loads[key] = _Load(task, frozenset(tags))
        return await self._join(key, running)

    def leave_loads(self, forgotten: Forgotten) -> None:
        """Let nobody else wait for loads whose result is out of date already."""
        for key, load in tuple(self._loads.items()):
            if forgotten.everything or self._key(key) in forgotten.keys or load.tags & forgotten.tags:
                del self._loads[key]

    async def _load(
        self, key: str, load: Callable[[], Awaitable[ValueT]], tags: Collection[str], stamp: str | None
    ) -> ValueT:
        value = await load()
        if stamp is not None:  # nobody knows what was forgotten while the store was away
            await self._write(key, value, tags, since=stamp)
        return value

    async def _join(self, key: str, load: "_Load[ValueT]") -> ValueT:
        load.waiting += 1
        try:
            return await asyncio.shield(load.task)
        finally:
            load.waiting -= 1
            if not load.waiting:
                load.task.cancel()
            if (load.task.done() or not load.waiting) and self._loads.get(key) is load:
                del self._loads[key]

    async def _read(self, key: str) -> tuple[ValueT | None, str | None]:
        stored = await self._cache.read(self.name, self._key(key))
        if stored.value is None:
            return None, stored.stamp
        try:
            return self._adapter.validate_json(stored.value), stored.stamp
        except ValidationError:  # written by another version of this program
            return None, stored.stamp

    async def _write(self, key: str, value: ValueT, tags: Collection[str], *, since: str | None) -> None:
        data = self._adapter.dump_json(value)
        await self._cache.write(self, self._key(key), data, tags=tags, since=since)

    def _key(self, key: str) -> str:
        return f"{self.name}:{key}"


@dataclass(slots=True)
class _Load(Generic[ValueT]):
    task: "asyncio.Task[ValueT]"
    tags: frozenset[str]
    waiting: int = 0
