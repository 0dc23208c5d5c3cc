"""The cache of a node: bytes in and out of a store, compressed, counted, and passed by when the store fails."""

import asyncio
import zlib
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import structlog
from pydantic import TypeAdapter

from fireside.core.errors import FiresideError
from fireside.core.tasks import end
from fireside.ports.cache import CacheError, Forgotten, NodeCacheStore
from fireside.runtime.caching.namespace import CacheNamespace, ValueT
from fireside.runtime.caching.settings import CacheSettings
from fireside.runtime.health import Check
from fireside.runtime.metrics import Metrics

log = structlog.stdlib.get_logger(__name__)

_PLAIN, _COMPRESSED = b"\x00", b"\x01"
_WARM_AGAIN_S, _WARM_AGAIN_MOST_S = 0.5, 30.0
"""Wait before what could not be warmed is tried again; doubles each time, up to the second figure."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What a read found.

    Attributes:
        value: The bytes, decompressed; None when there are none or the store fails.
        stamp: The moment of the read, for a write of what is loaded instead; None when the store fails.
    """

    value: bytes | None
    stamp: str | None


class Cache:
    """One store, shared by namespaces that each hold values of one type."""

    def __init__(self, store: NodeCacheStore, *, metrics: Metrics, settings: CacheSettings | None = None) -> None:
        self.settings = settings or CacheSettings()
        self._store = store
        self._metrics = metrics
        self._failing = False
        self._namespaces: list[CacheNamespace[Any]] = []
        self._warmers: dict[str, Callable[[], Awaitable[object]]] = {}
        self._warming: dict[str, asyncio.Task[None]] = {}
        store.listen(self._forgotten)

    def namespace(
        self, name: str, adapter: TypeAdapter[ValueT], *, ttl_s: float | Callable[[], float]
    ) -> CacheNamespace[ValueT]:
        """Values of one type under keys of their own.

        Args:
            name: Stands before every key and in the metrics.
            adapter: Writes and reads the values as JSON.
            ttl_s: How long a value is kept; a function where that may change.
        """
        namespace = CacheNamespace(self, name, adapter, ttl_s)
        self._namespaces.append(namespace)
        return namespace

    def listen(self, tell: Callable[[Forgotten], None]) -> None:
        """Have a function called whenever something was forgotten, on whichever node. It must return at once."""
        self._store.listen(tell)

    async def open(self) -> None:
        """Begin to follow what other nodes forget. A store that does not answer is passed by until it does."""
        await self._store.open()

    async def aclose(self) -> None:
        """End what was begun and let go of the store. Safe to call twice."""
        await end(*self._warming.values())
        try:
            await self._store.aclose()
        except CacheError as error:
            self._note_failure(error)

    def keep_warm(self, name: str, load: Callable[[], Awaitable[object]]) -> None:
        """Have values loaded now, and again whenever the whole cache was emptied. In the background.

        Args:
            name: Of what is warmed; a later one of the same name takes its place.
            load: Asks for the values, as others will, so that they are kept. When it raises because a part of
                Fireside is not there yet, it is called again after a while.
        """
        self._warmers[name] = load
        self._warm(name)

    async def invalidate(self, *tags: str) -> None:
        """Forget every value that carries one of the tags, in all namespaces and on all nodes.

        A store that fails is told later, where it can be; otherwise values are left to their time.
        """
        try:
            await self._store.invalidate(tags)
        except CacheError as error:
            self._note_failure(error)

    async def check(self) -> Check:
        """Whether the store answers. What it holds goes into the metrics."""
        started = perf_counter()
        try:
            usage = await self._store.usage()
        except CacheError as error:
            self._metrics.cache_up.set(0)
            return Check("degraded", f"{error.message}; every answer comes from its source")
        self._metrics.cache_up.set(1)
        self._metrics.cache_entries.set(usage.entries)
        self._metrics.cache_used_bytes.set(usage.used_bytes)
        return Check("ok", latency_ms=(perf_counter() - started) * 1000)

    async def read(self, namespace: str, key: str) -> Stored:
        """What is stored under a key, decompressed."""
        started = perf_counter()
        try:
            look = await self._store.look_up(key)
        except CacheError as error:
            self._note_failure(error)
            self._metrics.cache_reads.labels(namespace, "error").inc()
            return Stored(None, None)
        finally:
            self._metrics.cache_read_seconds.labels(namespace).observe(perf_counter() - started)
        self._failing = False
        if look.value is None or look.value[:1] != _COMPRESSED:
            return Stored(look.value and look.value[1:], look.stamp)
        try:
            return Stored(zlib.decompress(look.value[1:]), look.stamp)
        except zlib.error:  # damaged: as good as absent
            return Stored(None, look.stamp)

    async def write(
        self, namespace: "CacheNamespace[ValueT]", key: str, value: bytes, *, tags: Collection[str], since: str | None
    ) -> None:
        """Store the bytes, compressed where that pays; a failing store is noted and left.

        Args:
            namespace: Whose value it is.
            key: The whole key.
            value: What to store.
            tags: What to forget it by.
            since: When its load began; None for a value that is right now.
        """
        stored = _PLAIN + value
        if len(value) > self.settings.compress_above_bytes:
            compressed = _COMPRESSED + zlib.compress(value, level=1)
            stored = min(stored, compressed, key=len)
        try:
            kept = await self._store.put(key, stored, ttl_s=namespace.ttl_s, tags=tags, since=since)
        except CacheError as error:
            self._note_failure(error)
            return
        if not kept:
            self._metrics.cache_outdated.labels(namespace.name).inc()
            return
        self._metrics.cache_bytes.labels(namespace.name, "plain").inc(len(value))
        self._metrics.cache_bytes.labels(namespace.name, "stored").inc(len(stored))

    async def forget(self, key: str) -> None:
        """Forget one value; a failing store is noted and left."""
        try:
            await self._store.delete(key)
        except CacheError as error:
            self._note_failure(error)

    def count(self, namespace: str, outcome: str) -> None:
        """Count a read."""
        self._metrics.cache_reads.labels(namespace, outcome).inc()

    def _forgotten(self, forgotten: Forgotten) -> None:
        for namespace in self._namespaces:
            namespace.leave_loads(forgotten)
        if forgotten.everything:
            for name in self._warmers:
                self._warm(name)

    def _warm(self, name: str) -> None:
        running = self._warming.get(name)
        if running is not None:
            running.cancel()
        self._warming[name] = asyncio.get_running_loop().create_task(self._run_warmer(name))

    async def _run_warmer(self, name: str) -> None:
        pause_s = _WARM_AGAIN_S
        while True:
            try:
                await self._warmers[name]()
            except FiresideError as error:
                log.info("cache_not_warmed", warmer=name, code=error.code)
            else:
                self._metrics.cache_warmed.labels(name).inc()
                return
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _WARM_AGAIN_MOST_S)

    def _note_failure(self, error: CacheError) -> None:
        if not self._failing:
            log.warning("cache_failing", detail=error.message)
        self._failing = True
