"""A master killed under load: errors for a bounded time, then work as before; nothing acknowledged long before is lost.

Redis copies writes to replicas after it acknowledged them. What was acknowledged in the moment before the master died
may be lost with it: a cache loads it again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from uuid import uuid4

import pytest
from pydantic import TypeAdapter

from fireside.adapters.cache.memory import MemoryCache
from fireside.adapters.cache.redis import RedisCache
from fireside.adapters.cache.tiered import TieredCache
from fireside.ports.cache import CacheError
from fireside.runtime.caching import Cache
from fireside.runtime.metrics import Metrics
from tests.redis_servers import Cluster, Watched, redis_cluster, watched_by_sentinels

LOST_WITHIN_S = 5.0
"""How long before the master's death an acknowledged write may have been made that is lost."""
BACK_WITHIN_S = 25.0


@dataclass
class Load:
    """Writes one value after another, and notes which were acknowledged and when others failed."""

    store: RedisCache
    acknowledged: dict[str, float] = field(default_factory=dict)
    failed_at: list[float] = field(default_factory=list)
    number: int = 0

    async def write_until(self, done: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not done():
                self.number += 1
                key = f"k{self.number}"
                try:
                    await self.store.put(key, b"1", ttl_s=600, tags=[f"t{self.number % 7}"])
                except CacheError:
                    self.failed_at.append(monotonic())
                else:
                    self.acknowledged[key] = monotonic()
                await asyncio.sleep(0.002)

    def written_since(self, moment: float) -> int:
        return sum(at > moment for at in self.acknowledged.values())

    async def lost(self) -> list[float]:
        """When those were acknowledged that are no longer there."""
        return [at for key, at in self.acknowledged.items() if await self.store.get(key) is None]


async def survives(url: str, kill: Callable[[], Awaitable[None]]) -> None:
    """Kill a master under load, and see what that does to writes, and to those who ask a cache."""
    prefix = f"test-{uuid4().hex}"
    load, ready = Load(RedisCache(url, prefix=prefix)), asyncio.Event()
    cache = Cache(TieredCache(MemoryCache(), RedisCache(url, prefix=f"{prefix}-c")), metrics=Metrics())
    values = cache.namespace("values", TypeAdapter(int), ttl_s=60)
    await cache.open()
    began = monotonic()
    await load.write_until(lambda: monotonic() - began > 2 * LOST_WITHIN_S)
    assert not load.failed_at
    asking = asyncio.create_task(_ask(values.get_or_load, ready))

    killed_at = monotonic()
    await kill()
    calm = killed_at + 1.0
    await load.write_until(lambda: load.written_since(max([calm, *load.failed_at])) >= 100)
    ready.set()

    assert await asking > 0
    assert load.failed_at, "the load did not notice"
    assert max(load.failed_at) - killed_at < BACK_WITHIN_S
    assert load.number > 200
    assert all(at > killed_at - LOST_WITHIN_S for at in await load.lost())
    async with asyncio.timeout(30):
        while (await cache.check()).status != "ok":
            await asyncio.sleep(0.05)
    await load.store.aclose()
    await cache.aclose()


async def _ask(get_or_load: Callable[..., Awaitable[int]], ready: asyncio.Event) -> int:
    """Ask a cache without pause; an error would end this, and the test."""
    number = 0

    async def load() -> int:
        return number

    while not ready.is_set():
        number += 1
        assert await get_or_load(f"v{number}", load) == number
        await asyncio.sleep(0.005)
    return number


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    with watched_by_sentinels(tmp_path) as watched:
        yield watched


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with redis_cluster(tmp_path, replicas=True) as cluster:
        yield cluster


@pytest.mark.requirement("P11")
async def test_the_cache_follows_sentinel_to_the_next_master(watched: Watched) -> None:
    async def kill() -> None:
        watched.master.kill()

    await survives(watched.url, kill)


@pytest.mark.requirement("P11")
async def test_the_cache_goes_on_with_the_replica_of_a_cluster_node_that_died(cluster: Cluster) -> None:
    async def kill() -> None:
        cluster.masters[0].kill()

    await survives(cluster.url, kill)
