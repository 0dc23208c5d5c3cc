import asyncio
from collections.abc import Callable, Collection
from typing import Any

import pytest
from pydantic import TypeAdapter

from fireside.adapters.cache.memory import MemoryCache
from fireside.contracts.base import Contract
from fireside.core.errors import UnavailableError
from fireside.ports.cache import CacheError, CacheUsage, Forgotten, Look
from fireside.runtime.caching import Cache, CacheNamespace, CacheSettings
from fireside.runtime.metrics import Metrics
from fireside.testing.mesh import eventually
from tests.services.auth.house import ManualClock


class Page(Contract):
    text: str


class BrokenStore:
    """A cache server that does not answer, until it does."""

    def __init__(self) -> None:
        self.broken = True
        self.inner = MemoryCache()

    def _answer(self) -> None:
        if self.broken:
            raise CacheError("no answer")

    async def get(self, key: str) -> bytes | None:
        self._answer()
        return await self.inner.get(key)

    async def look_up(self, key: str) -> Look:
        self._answer()
        return await self.inner.look_up(key)

    async def put(
        self, key: str, value: bytes, *, ttl_s: float, tags: Collection[str] = (), since: str | None = None
    ) -> bool:
        self._answer()
        return await self.inner.put(key, value, ttl_s=ttl_s, tags=tags, since=since)

    async def delete(self, key: str) -> None:
        self._answer()

    async def invalidate(self, tags: Collection[str]) -> int:
        self._answer()
        return 0

    async def clear(self) -> None:
        self._answer()

    async def usage(self) -> CacheUsage:
        self._answer()
        return CacheUsage(0, 0)

    def listen(self, tell: Callable[[Forgotten], None]) -> None:
        self.inner.listen(tell)

    async def open(self) -> None:
        pass

    async def aclose(self) -> None:
        self._answer()


class Source:
    """Counts how often it is asked, and answers when let."""

    def __init__(self, *, gated: bool = False) -> None:
        self.loads = 0
        self.cancelled = 0
        self.gate = asyncio.Event()
        if not gated:
            self.gate.set()

    async def __call__(self) -> Page:
        self.loads += 1
        number = self.loads
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return Page(text=str(number))


def pages(store: Any = None, metrics: Metrics | None = None, **settings: Any) -> CacheNamespace[Page]:
    cache = Cache(store or MemoryCache(), metrics=metrics or Metrics(), settings=CacheSettings(**settings))
    return cache.namespace("pages", TypeAdapter(Page), ttl_s=60)


def reads(metrics: Metrics) -> dict[str, float]:
    def count(outcome: str) -> float:
        labels = {"namespace": "pages", "outcome": outcome}
        return metrics.registry.get_sample_value("fireside_cache_reads_total", labels) or 0

    return {outcome: count(outcome) for outcome in ("hit", "miss", "shared", "error")}


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.mark.requirement("P5")
async def test_how_long_values_are_kept_may_change() -> None:
    clock, ttl_s, source = ManualClock(), [60.0], Source()
    cache = Cache(MemoryCache(clock=clock), metrics=Metrics())
    cached = cache.namespace("pages", TypeAdapter(Page), ttl_s=lambda: ttl_s[0])

    ttl_s[0] = 5.0
    await cached.get_or_load("a", source)
    clock.pass_time(seconds=6)
    await cached.get_or_load("a", source)

    assert source.loads == 2


async def test_a_value_is_loaded_once_and_then_comes_from_the_cache() -> None:
    source, metrics = Source(), Metrics()
    cached = pages(metrics=metrics)

    answers = [await cached.get_or_load("a", source) for _ in range(3)]

    assert answers == [Page(text="1")] * 3
    assert source.loads == 1
    assert reads(metrics) == {"hit": 2, "miss": 1, "shared": 0, "error": 0}


@pytest.mark.requirement("C1")
async def test_a_hundred_who_miss_at_once_share_one_load() -> None:
    source, metrics = Source(gated=True), Metrics()
    cached = pages(metrics=metrics)
    waiting = [asyncio.create_task(cached.get_or_load("a", source)) for _ in range(100)]
    await settle()

    source.gate.set()

    assert await asyncio.gather(*waiting) == [Page(text="1")] * 100
    assert source.loads == 1
    assert reads(metrics) == {"hit": 0, "miss": 1, "shared": 99, "error": 0}


async def test_one_who_gives_up_leaves_the_load_to_the_others() -> None:
    source = Source(gated=True)
    cached = pages()
    first, second = (asyncio.create_task(cached.get_or_load("a", source)) for _ in range(2))
    await settle()

    first.cancel()
    await settle()
    source.gate.set()

    assert await second == Page(text="1")
    assert source.loads == 1


async def test_a_load_that_nobody_waits_for_is_stopped_and_the_next_begins_anew() -> None:
    source = Source(gated=True)
    cached = pages()
    waiting = asyncio.create_task(cached.get_or_load("a", source))
    await settle()

    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    next_one = asyncio.create_task(cached.get_or_load("a", source))
    source.gate.set()

    assert await next_one == Page(text="2")
    assert source.cancelled == 1


async def test_the_error_of_a_load_reaches_all_and_is_not_kept() -> None:
    cached, source = pages(), Source()

    async def fails() -> Page:
        await asyncio.sleep(0)
        raise ValueError("no page")

    results = await asyncio.gather(*(cached.get_or_load("a", fails) for _ in range(3)), return_exceptions=True)

    assert [str(result) for result in results] == ["no page"] * 3
    assert await cached.get_or_load("a", source) == Page(text="1")


@pytest.mark.requirement("C1")
async def test_when_the_cache_does_not_answer_the_source_does() -> None:
    store, source, metrics = BrokenStore(), Source(), Metrics()
    cached = pages(store, metrics=metrics)

    assert await cached.get_or_load("a", source) == Page(text="1")
    assert await cached.get_or_load("a", source) == Page(text="2")
    await cached.put("a", Page(text="x"))
    await cached.delete("a")
    store.broken = False

    assert await cached.get("a") is None
    assert await cached.get_or_load("a", source) == Page(text="3")
    assert await cached.get_or_load("a", source) == Page(text="3")
    assert reads(metrics)["error"] == 2


@pytest.mark.requirement("C6")
async def test_a_failing_cache_shows_in_its_health_and_takes_invalidations_quietly() -> None:
    store = BrokenStore()
    metrics = Metrics()
    cache = Cache(store, metrics=metrics)
    await cache.invalidate("red")

    failing = await cache.check()
    up_when_failing = metrics.registry.get_sample_value("fireside_cache_up")
    await cache.aclose()
    store.broken = False
    well = await cache.check()

    assert (up_when_failing, metrics.registry.get_sample_value("fireside_cache_up")) == (0, 1)

    assert (failing.status, failing.detail) == ("degraded", "no answer; every answer comes from its source")
    assert well.status == "ok"
    assert well.latency_ms is not None


@pytest.mark.requirement("C5")
async def test_long_values_are_compressed_where_that_pays_and_read_equal() -> None:
    store, metrics = MemoryCache(), Metrics()
    cached = pages(store, metrics=metrics, compress_above_bytes=100)
    page = Page(text="again and again " * 500)

    await cached.put("a", page)

    assert (await store.usage()).used_bytes < 1000
    assert await cached.get("a") == page
    plain, stored = (
        metrics.registry.get_sample_value("fireside_cache_written_bytes_total", {"namespace": "pages", "form": form})
        for form in ("plain", "stored")
    )
    assert plain is not None
    assert stored is not None
    assert plain > 8000
    assert stored < 1000


async def test_values_that_compression_would_lengthen_are_stored_plain() -> None:
    store = MemoryCache()
    cache = Cache(store, metrics=Metrics(), settings=CacheSettings(compress_above_bytes=0))
    numbers = cache.namespace("n", TypeAdapter(int), ttl_s=60)
    await numbers.put("key", 7)

    assert await store.get("n:key") == b"\x007"
    assert await numbers.get("key") == 7


async def test_a_value_that_another_version_wrote_is_loaded_anew() -> None:
    store, source = MemoryCache(), Source()
    await store.put("pages:a", b'\x00{"title": 1}', ttl_s=60)

    assert await pages(store).get_or_load("a", source) == Page(text="1")


@pytest.mark.requirement("C3")
async def test_values_are_forgotten_by_key_and_by_tag() -> None:
    cache = Cache(MemoryCache(), metrics=Metrics())
    cached = cache.namespace("pages", TypeAdapter(Page), ttl_s=60)
    await cached.put("a", Page(text="a"), tags=["red"])
    await cached.put("b", Page(text="b"), tags=["blue"])
    await cached.put("c", Page(text="c"))

    await cached.delete("c")
    await cache.invalidate("red")

    assert [await cached.get(key) for key in "abc"] == [None, Page(text="b"), None]


async def test_namespaces_do_not_see_each_other() -> None:
    cache = Cache(MemoryCache(), metrics=Metrics())
    await cache.namespace("one", TypeAdapter(Page), ttl_s=60).put("a", Page(text="a"))

    assert await cache.namespace("two", TypeAdapter(Page), ttl_s=60).get("a") is None


@pytest.mark.parametrize("data", [b"\x01not compressed", b"\x07?", b""])
async def test_a_damaged_value_is_loaded_anew(data: bytes) -> None:
    store, source = MemoryCache(), Source()
    await store.put("pages:a", data, ttl_s=60)

    assert await pages(store).get_or_load("a", source) == Page(text="1")


@pytest.mark.requirement("D10")
async def test_what_was_loaded_before_an_invalidation_is_not_kept_after_it() -> None:
    source, metrics = Source(gated=True), Metrics()
    cache = Cache(MemoryCache(), metrics=metrics)
    cached = cache.namespace("pages", TypeAdapter(Page), ttl_s=60)
    before = asyncio.create_task(cached.get_or_load("a", source, tags=["red"]))
    await settle()

    await cache.invalidate("red")
    source.gate.set()

    assert await before == Page(text="1")
    assert await cached.get("a") is None
    assert await cached.get_or_load("a", source, tags=["red"]) == Page(text="2")
    outdated = metrics.registry.get_sample_value("fireside_cache_outdated_loads_total", {"namespace": "pages"})
    assert outdated == 1


@pytest.mark.requirement("D10")
@pytest.mark.parametrize("how", ["tag", "key", "everything"])
async def test_who_asks_after_an_invalidation_does_not_share_a_load_from_before_it(how: str) -> None:
    source, store = Source(gated=True), MemoryCache()
    cache = Cache(store, metrics=Metrics())
    cached = cache.namespace("pages", TypeAdapter(Page), ttl_s=60)
    before = asyncio.create_task(cached.get_or_load("a", source, tags=["red"]))
    await settle()

    await {"tag": lambda: cache.invalidate("red"), "key": lambda: cached.delete("a"), "everything": store.clear}[how]()
    after = asyncio.create_task(cached.get_or_load("a", source, tags=["red"]))
    await settle()
    source.gate.set()

    assert [await before, await after] == [Page(text="1"), Page(text="2")]
    assert await cached.get("a") == Page(text="2")


async def test_an_invalidation_of_other_tags_leaves_a_load_to_all_who_wait() -> None:
    source, cache = Source(gated=True), Cache(MemoryCache(), metrics=Metrics())
    cached = cache.namespace("pages", TypeAdapter(Page), ttl_s=60)
    before = asyncio.create_task(cached.get_or_load("a", source, tags=["red"]))
    await settle()

    await cache.invalidate("blue")
    after = asyncio.create_task(cached.get_or_load("a", source, tags=["red"]))
    await settle()
    source.gate.set()

    assert [await before, await after, await cached.get("a")] == [Page(text="1")] * 3


async def test_what_was_loaded_while_the_cache_was_away_is_not_kept() -> None:
    store, source = BrokenStore(), Source(gated=True)
    cached = pages(store)
    waiting = asyncio.create_task(cached.get_or_load("a", source))
    await settle()

    store.broken = False
    source.gate.set()
    await waiting

    assert await cached.get("a") is None


@pytest.mark.requirement("C4")
async def test_what_is_kept_warm_is_there_for_the_first_who_ask_and_again_after_a_flush() -> None:
    store, source, metrics = MemoryCache(), Source(), Metrics()
    cache = Cache(store, metrics=metrics)
    cached = cache.namespace("pages", TypeAdapter(Page), ttl_s=60)

    cache.keep_warm("first pages", lambda: cached.get_or_load("a", source))
    await settle()
    first = [await cached.get_or_load("a", source) for _ in range(100)]
    await store.clear()
    await settle()

    assert first == [Page(text="1")] * 100
    assert await cached.get("a") == Page(text="2")
    assert reads(metrics) == {"hit": 101, "miss": 2, "shared": 0, "error": 0}
    await cache.aclose()


async def test_a_source_that_fails_leaves_the_cache_cold_and_ends_with_it() -> None:
    cache, source = Cache(MemoryCache(), metrics=Metrics()), Source(gated=True)

    async def fails() -> None:
        raise UnavailableError("no model is served")

    cache.keep_warm("fails", fails)
    cache.keep_warm("hangs", source)
    await settle()
    await cache.aclose()

    assert source.cancelled == 1


@pytest.mark.requirement("C4")
async def test_what_could_not_be_loaded_when_its_source_was_not_there_yet_is_loaded_a_little_later() -> None:
    metrics, calls = Metrics(), list[str]()
    cache = Cache(MemoryCache(), metrics=metrics)

    async def load() -> None:
        calls.append("load")
        if len(calls) == 1:
            raise UnavailableError("no index is there yet")

    cache.keep_warm("search", load)

    await eventually(
        lambda: metrics.registry.get_sample_value("fireside_cache_warmed_total", {"warmer": "search"}) == 1
    )
    assert len(calls) == 2
    await cache.aclose()
