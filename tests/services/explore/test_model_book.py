"""What is known of the models here comes from the cache, and never shows anybody what is not so any more."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from fireside.adapters.cache.memory import MemoryCache
from fireside.contracts import explore
from fireside.core.clock import SystemClock
from fireside.core.ids import new_id
from fireside.runtime.caching import Cache
from fireside.runtime.metrics import Metrics
from fireside.services.explore import repository
from fireside.services.explore.model import StoredRule
from fireside.testing.durable import eventually as durable_eventually
from fireside.testing.mesh import eventually
from tests.gguf import model_file
from tests.services.explore.conftest import Shop, running_shop
from tests.services.explore.servers import ModelServer


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def store() -> MemoryCache:
    return MemoryCache()


@pytest.fixture
async def shop(tmp_path: Path, server: ModelServer, store: MemoryCache, metrics: Metrics) -> AsyncIterator[Shop]:
    """One model, `one`."""
    async with running_shop(tmp_path, server, cache=Cache(store, metrics=metrics)) as shop:
        server.files["one.gguf"] = model_file(seed=0, general__basename="qwen")
        assert (await shop.install("hf:acme/one")).state == "succeeded"
        yield shop


def reads(metrics: Metrics, outcome: str) -> float:
    labels = {"namespace": "models", "outcome": outcome}
    return metrics.registry.get_sample_value("fireside_cache_reads_total", labels) or 0


def warmed(metrics: Metrics) -> float:
    return metrics.registry.get_sample_value("fireside_cache_warmed_total", {"warmer": "models"}) or 0


async def close_to_users_and_tell_nobody(shop: Shop) -> None:
    """What a process does that is killed between its change and telling of it."""
    async with shop.service.database.transaction() as unit:
        await repository.put_rule(unit.session, StoredRule("one", roles=("admin",)), now=SystemClock().now())


@pytest.mark.requirement("C4")
async def test_lists_and_the_catalogue_are_shown_from_the_cache_and_again_after_a_flush(
    shop: Shop, store: MemoryCache, metrics: Metrics
) -> None:
    await shop.names(shop.admin)
    before = warmed(metrics)
    await store.clear()
    await eventually(lambda: warmed(metrics) == before + 1)
    hits, misses = reads(metrics, "hit"), reads(metrics, "miss")

    await shop.names(shop.admin)
    await shop.names(shop.as_role("user"))
    await shop.admin.call(explore.CATALOGUE, explore.SearchCatalogue())

    assert (reads(metrics, "hit") - hits, reads(metrics, "miss") - misses) == (3, 0)


@pytest.mark.requirement("C3")
async def test_a_change_by_another_node_counts_when_the_cache_or_a_signal_tells_of_it(
    shop: Shop, store: MemoryCache
) -> None:
    user = shop.as_role("user")
    for tell in (lambda: store.invalidate(["models"]), lambda: shop.admin.broadcast(explore.ModelsChanged())):
        await shop.change("one", roles=())
        assert await shop.names(user) == ["one"]
        await close_to_users_and_tell_nobody(shop)

        await tell()

        async def closed() -> bool | None:
            return True if await shop.names(user) == [] else None

        assert await durable_eventually(closed)


async def test_who_changes_a_model_finds_it_though_nobody_told_of_it_yet(shop: Shop) -> None:
    assert await shop.names(shop.admin) == ["one"]
    async with shop.service.database.transaction() as unit:
        one = await repository.find_model(unit.session, "one")
        assert one is not None
        await repository.add_model(unit.session, replace(one, id=new_id(), name="two"))
    assert await shop.names(shop.admin) == ["one"]

    assert (await shop.change("two", tags=("fast",))).tags == ("fast",)
    assert await shop.names(shop.admin) == ["one", "two"]


async def test_what_a_process_changed_that_died_before_it_told_of_it_counts_from_its_next_start_on(
    tmp_path: Path, server: ModelServer, shop: Shop, store: MemoryCache
) -> None:
    assert await shop.names(shop.as_role("user")) == ["one"]
    await close_to_users_and_tell_nobody(shop)
    assert await shop.names(shop.as_role("user")) == ["one"]

    async with running_shop(tmp_path, server, cache=Cache(store, metrics=Metrics())) as after:
        assert await after.names(after.as_role("user")) == []
