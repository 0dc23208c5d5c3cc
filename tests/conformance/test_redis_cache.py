"""The cache on Redis keeps the port's promises: on one server, behind Sentinel, on a cluster, and behind memory."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from fireside.adapters.cache.memory import MemoryCache
from fireside.adapters.cache.redis import RedisCache
from fireside.adapters.cache.tiered import TieredCache
from fireside.adapters.rate_windows.redis import RedisRateWindows
from fireside.adapters.redis_clients import make_redis_client
from fireside.ports.cache import CacheError, Forgotten
from fireside.testing.conformance.cache import CacheConformance, Wait
from tests.redis_servers import need_redis, redis_cluster, watched_by_sentinels


@pytest.fixture(scope="module")
def sentinel_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with watched_by_sentinels(tmp_path_factory.mktemp("sentinel")) as watched:
        yield watched.url


@pytest.fixture(scope="module")
def cluster_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with redis_cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster.url


async def pass_time(seconds: float) -> None:
    await asyncio.sleep(seconds)  # the server's clock cannot be moved


class OnRedis(CacheConformance):
    """What the arrangements have in common: their values expire by the server's clock."""

    @pytest.fixture
    def wait(self) -> Wait:
        return pass_time

    @pytest.fixture
    async def store(self, redis_url: str) -> AsyncIterator[RedisCache]:
        store = RedisCache(redis_url, prefix=f"test-{uuid4().hex}")
        yield store
        await store.clear()
        await store.aclose()


class TestOneServer(OnRedis):
    @pytest.fixture
    def redis_url(self) -> str:
        return need_redis()

    @pytest.mark.requirement("C7")
    async def test_the_server_itself_ends_a_value_in_time(self, redis_url: str) -> None:
        prefix = f"test-{uuid4().hex}"
        store, client = RedisCache(redis_url, prefix=prefix), make_redis_client(redis_url)
        await store.put("a", b"1", ttl_s=3600)

        [name] = [key async for key in client.scan_iter(f"{prefix}:*:e:*")]

        assert 3599 <= await client.ttl(name) <= 3600
        await store.clear()
        await client.aclose()
        await store.aclose()

    async def test_installations_with_other_prefixes_do_not_see_each_other(
        self, store: RedisCache, redis_url: str
    ) -> None:
        other = RedisCache(redis_url, prefix=f"test-{uuid4().hex}")
        await store.put("a", b"1", ttl_s=60, tags=["red"])

        assert await other.get("a") is None
        assert await other.invalidate(["red"]) == 0
        await other.clear()
        assert await store.get("a") == b"1"
        await other.aclose()

    async def test_changes_name_what_any_node_forgot(self, store: RedisCache) -> None:
        first = await store.changes(None)
        await store.put("a", b"1", ttl_s=60)
        unchanged = await store.changes(first.until)
        await store.put("a", b"2", ttl_s=60)
        await store.delete("b")
        await store.invalidate(["red", "blue"])
        some = await store.changes(unchanged.until)
        await store.clear()
        cleared = await store.changes(some.until)

        assert first.forgotten.everything
        assert not unchanged.forgotten
        assert some.forgotten == Forgotten(keys=frozenset("ab"), tags=frozenset({"red", "blue"}))
        assert cleared.forgotten.everything
        assert not (await store.changes(cleared.until)).forgotten

    async def test_a_server_that_lost_its_memory_lets_no_older_load_in(self, store: RedisCache, redis_url: str) -> None:
        await store.put("a", b"1", ttl_s=60)
        stamp, until = (await store.look_up("b")).stamp, (await store.changes(None)).until
        client = make_redis_client(redis_url)
        async for name in client.scan_iter(f"{store.prefix}:*"):
            await client.delete(name)
        await client.aclose()

        assert not await store.put("b", b"old", ttl_s=60, since=stamp)
        assert (await store.changes(until)).forgotten.everything

    async def test_of_ten_thousand_marks_the_oldest_are_dropped_and_older_loads_refused(
        self, store: RedisCache
    ) -> None:
        before = (await store.look_up("a")).stamp
        until = (await store.changes(None)).until
        for start in range(0, 10_500, 500):
            await store.invalidate([f"t{number}" for number in range(start, start + 500)])

        assert (await store.changes(until)).forgotten.everything
        assert not await store.put("a", b"old", ttl_s=60, since=before)
        assert await store.put("a", b"new", ttl_s=60, since=(await store.look_up("a")).stamp)


class TestBehindSentinel(OnRedis):
    @pytest.fixture
    def redis_url(self, sentinel_url: str) -> str:
        return sentinel_url


class TestOnACluster(OnRedis):
    @pytest.fixture
    def redis_url(self, cluster_url: str) -> str:
        return cluster_url

    async def test_a_tag_spans_the_parts(self, store: RedisCache) -> None:
        for number in range(100):
            await store.put(f"k{number}", b"1", ttl_s=60, tags=["all"])

        assert (await store.usage()).entries == 100
        assert await store.invalidate(["all"]) == 100


class TestTwoTiers(CacheConformance):
    @pytest.fixture
    def wait(self) -> Wait:
        return pass_time

    @pytest.fixture
    async def store(self) -> AsyncIterator[TieredCache]:
        far = RedisCache(need_redis(), prefix=f"test-{uuid4().hex}")
        store = TieredCache(MemoryCache(), far)
        await store.open()
        yield store
        await store.clear()
        await store.aclose()


async def test_errors_do_not_show_passwords(tmp_path: Path) -> None:
    store = RedisCache("redis://fireside:hunter2@127.0.0.1:1/0")

    with pytest.raises(CacheError, match="Redis did not answer") as failed:
        await store.get("a")

    assert "hunter2" not in str(failed.value)
    await store.aclose()


@pytest.mark.requirement("P19")
async def test_windows_are_counted_behind_sentinel_and_on_a_cluster(sentinel_url: str, cluster_url: str) -> None:
    for url in (sentinel_url, cluster_url):
        nodes = [RedisRateWindows(url) for _ in range(2)]
        for key in ("a", "b", "c"):
            answers = await asyncio.gather(
                *(nodes[number % 2].hit(key, limit=20, window_s=60) for number in range(50)),
            )
            assert sum(answer.admitted for answer in answers) == 20
        for each in nodes:
            await each.aclose()
