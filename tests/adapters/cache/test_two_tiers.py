"""Two nodes, each with memory in front of the same Redis: what one forgets the other forgets; without Redis, neither
believes its memory.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic
from uuid import uuid4

import pytest

from fireside.adapters.cache.memory import MemoryCache
from fireside.adapters.cache.redis import RedisCache
from fireside.adapters.cache.tiered import TieredCache
from fireside.ports.cache import CacheError, CacheStore, CacheUsage, Changes, Forgotten, Look, SharedCacheStore
from fireside.testing.mesh import eventually
from tests.redis_servers import RedisServer, need_redis, running, until


class CountingFar:
    """Counts the looks that reach the server, and can be cut off from it."""

    def __init__(self, inner: RedisCache) -> None:
        self.inner = inner
        self.looks = 0
        self.cut = False
        self.before_look = asyncio.Event()
        self.before_look.set()

    def _line(self) -> RedisCache:
        if self.cut:
            raise CacheError("cut off")
        return self.inner

    async def get(self, key: str) -> bytes | None:
        return await self._line().get(key)

    async def look_up(self, key: str) -> Look:
        self.looks += 1
        found = await self._line().look_up(key)
        await self.before_look.wait()
        return found

    async def put(self, key: str, value: bytes, **options: object) -> bool:
        return await self._line().put(key, value, **options)  # type: ignore[arg-type]

    async def delete(self, key: str) -> None:
        await self._line().delete(key)

    async def invalidate(self, tags: object) -> int:
        return await self._line().invalidate(tags)  # type: ignore[arg-type]

    async def clear(self) -> None:
        await self._line().clear()

    async def usage(self) -> CacheUsage:
        return await self._line().usage()

    async def changes(self, since: str | None) -> Changes:
        return await self._line().changes(since)

    async def aclose(self) -> None:
        await self.inner.aclose()


class NodeCache:
    """The cache of one node, and what it was told was forgotten."""

    def __init__(self, url: str, prefix: str) -> None:
        self.far = CountingFar(RedisCache(url, prefix=prefix))
        far: SharedCacheStore = self.far
        self.store = TieredCache(MemoryCache(), far, follow_interval_s=0.05)
        self.told: list[Forgotten] = []
        self.store.listen(self.told.append)


@asynccontextmanager
async def nodes(url: str, *, count: int = 2) -> AsyncIterator[list[NodeCache]]:
    prefix = f"test-{uuid4().hex}"
    opened = [NodeCache(url, prefix) for _ in range(count)]
    for node in opened:
        await node.store.open()
    try:
        yield opened
    finally:
        for node in opened:
            node.far.cut = False
        await asyncio.gather(*(node.far.inner.clear() for node in opened[:1]), return_exceptions=True)
        for node in opened:
            await node.store.aclose()


@pytest.fixture
async def pair() -> AsyncIterator[list[NodeCache]]:
    async with nodes(need_redis()) as opened:
        yield opened


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path)
    with running(server):
        yield server


async def becomes(store: CacheStore, key: str, value: bytes | None) -> float:
    """How long it took, in seconds."""
    started = monotonic()

    async def holds() -> bool:
        return await store.get(key) == value

    await until(holds, f"{key!r} to become {value!r}")
    return monotonic() - started


@pytest.mark.requirement("C2")
async def test_what_was_read_once_is_read_from_memory_with_its_time_and_tags(pair: list[NodeCache]) -> None:
    one, two = pair
    await one.store.put("a", b"1", ttl_s=60, tags=["red"])

    looks = [await two.store.look_up("a") for _ in range(10)]

    assert [look.value for look in looks] == [b"1"] * 10
    assert 59 < looks[-1].ttl_s <= 60
    assert looks[-1].tags == {"red"}
    assert (one.far.looks, two.far.looks) == (0, 1)


@pytest.mark.requirement("C3", "D10")
@pytest.mark.parametrize("how", ["tag", "key", "replaced", "everything"])
async def test_what_one_node_forgets_every_node_has_forgotten_within_a_second(pair: list[NodeCache], how: str) -> None:
    one, two = pair
    await one.store.put("a", b"1", ttl_s=60, tags=["red"])
    await one.store.put("b", b"stays", ttl_s=60, tags=["blue"])
    assert [await two.store.get("a"), await two.store.get("b")] == [b"1", b"stays"]

    if how == "tag":
        assert await one.store.invalidate(["red"]) == 1
    elif how == "key":
        await one.store.delete("a")
    elif how == "replaced":
        await one.store.put("a", b"2", ttl_s=60, tags=["red"])
    else:
        await one.store.clear()

    assert await becomes(two.store, "a", b"2" if how == "replaced" else None) < 1
    assert await one.store.get("a") == (b"2" if how == "replaced" else None)
    assert await two.store.get("b") == (None if how == "everything" else b"stays")
    await eventually(lambda: bool(two.told))
    assert two.told[0].everything == (how == "everything")


@pytest.mark.requirement("D10")
async def test_a_value_that_was_read_before_it_was_forgotten_does_not_enter_memory_after(pair: list[NodeCache]) -> None:
    one, two = pair
    await one.store.put("a", b"1", ttl_s=60, tags=["red"])
    two.far.before_look.clear()
    reading = asyncio.create_task(two.store.get("a"))
    await eventually(lambda: two.far.looks == 1)

    await one.store.invalidate(["red"])
    await eventually(lambda: Forgotten(tags=frozenset({"red"})) in two.told)
    two.far.before_look.set()

    assert await reading == b"1"
    assert await two.store.get("a") is None


@pytest.mark.requirement("D10")
async def test_a_load_of_one_node_is_not_kept_when_another_forgot_its_tag_meanwhile(pair: list[NodeCache]) -> None:
    one, two = pair
    stamp = (await one.store.look_up("a")).stamp

    await two.store.invalidate(["red"])

    assert not await one.store.put("a", b"old", ttl_s=60, tags=["red"], since=stamp)
    assert [await one.store.get("a"), await two.store.get("a")] == [None, None]


@pytest.mark.requirement("D10")
async def test_a_node_that_is_cut_off_does_not_believe_its_memory(pair: list[NodeCache]) -> None:
    one, two = pair
    await one.store.put("a", b"1", ttl_s=60, tags=["red"])
    assert await two.store.get("a") == b"1"

    two.far.cut = True
    await one.store.invalidate(["red"])

    async def fails() -> bool:
        try:
            await two.store.get("a")
        except CacheError:
            return True
        return False

    await until(fails, "memory to be doubted", timeout_s=10)
    two.far.cut = False
    await until(lambda: _answers(two.store), "the node to be back", timeout_s=10)
    assert await two.store.get("a") is None


@pytest.mark.requirement("D10")
async def test_what_a_node_forgot_while_it_was_cut_off_is_forgotten_when_it_is_back(pair: list[NodeCache]) -> None:
    one, two = pair
    for key in "abc":
        await two.store.put(key, b"1", ttl_s=60, tags=[f"tag {key}"])
    one.far.cut = True

    for forget in (one.store.invalidate(["tag a"]), one.store.delete("b")):
        with pytest.raises(CacheError):
            await forget
    one.far.cut = False

    assert await becomes(two.store, "a", None) < 1
    assert await becomes(two.store, "b", None) < 1
    assert await two.store.get("c") == b"1"


@pytest.mark.requirement("P9")
async def test_nobody_waits_for_a_server_that_is_known_to_be_away_and_it_is_used_again_once_it_is_back(
    server: RedisServer,
) -> None:
    await server.ready()
    async with nodes(server.url, count=1) as [node]:
        await node.store.put("a", b"1", ttl_s=60)
        server.freeze()
        await until(lambda: _is_away(node.store), "the absence to be noticed", timeout_s=20)

        started = monotonic()
        for _ in range(100):
            with pytest.raises(CacheError, match="Redis did not answer"):
                await node.store.get("a")
        took_s = monotonic() - started
        server.thaw()

        assert took_s < 0.5
        await until(lambda: _answers(node.store), "the server to be used again")
        assert await node.store.get("a") == b"1"


@pytest.mark.requirement("D10")
async def test_a_server_that_comes_back_empty_empties_memory_too(server: RedisServer) -> None:
    await server.ready()
    async with nodes(server.url, count=1) as [node]:
        await node.store.put("a", b"1", ttl_s=60)
        server.kill()
        await until(lambda: _is_away(node.store), "the absence to be noticed", timeout_s=20)
        server.start()

        await until(lambda: _answers(node.store), "the server to be used again")

        assert await node.store.get("a") is None
        assert node.told[-1].everything


async def test_a_node_starts_without_the_server_and_uses_it_when_it_comes(tmp_path: Path) -> None:
    server = RedisServer(tmp_path)
    async with nodes(server.url, count=1) as [node]:
        assert await _is_away(node.store)
        with running(server):
            await until(lambda: _answers(node.store), "the server to be used")
            assert await node.store.put("a", b"1", ttl_s=60)
            assert await node.store.get("a") == b"1"


async def _answers(store: CacheStore) -> bool:
    try:
        await store.usage()
    except CacheError:
        return False
    return True


async def _is_away(store: CacheStore) -> bool:
    return not await _answers(store)
