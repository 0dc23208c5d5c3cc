"""The embeddings service: its cache, its model's facts, its start without waiting."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from fireside.adapters.cache.memory import MemoryCache
from fireside.adapters.vector_index.layout import check_generation_name
from fireside.contracts.base import Nothing
from fireside.contracts.embeddings import EMBED, MODELS, EmbedTexts
from fireside.core.clock import SystemClock
from fireside.core.errors import ForbiddenError, NotFoundError
from fireside.core.identity import service_identity, user_identity
from fireside.core.ids import UserId, new_id
from fireside.ports.embedder import EmbedderFacts, EmbedderFailedError, EmbedderUnavailableError, Vectors
from fireside.runtime.caching import Cache
from fireside.runtime.mesh import Context, Node
from fireside.runtime.metrics import Metrics
from fireside.services.embeddings.service import EmbeddingsService
from fireside.services.embeddings.settings import EmbeddingsSettings
from fireside.services.embeddings.shelf import index_name
from fireside.services.embeddings.vector_cache import VectorCache, cache_key
from fireside.services.embeddings.warm_vectors import Keeping
from fireside.testing.mesh import eventually, local_node


class CountingEmbedder:
    """Embeds the length of a text, and notes what it was asked."""

    def __init__(self, name: str = "Counting/Model:1", *, version: str = "1", dimensions: int = 2) -> None:
        self.facts = EmbedderFacts(name, dimensions, max_tokens=8, pooling="mean", version=version)
        self.texts: list[str] = []
        self.ready = False
        self.failure: Exception | None = None
        self.closed = False

    async def embed(self, texts: Sequence[str]) -> Vectors:
        await self.warm_up()
        self.texts += texts
        return np.array([[len(text)] + [1.0] * (self.facts.dimensions - 1) for text in texts], dtype=np.float32)

    async def warm_up(self) -> None:
        if self.failure is not None:
            raise self.failure
        self.ready = True

    async def aclose(self) -> None:
        self.closed = True


class HandClock(SystemClock):
    """Moves when told."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds


@pytest.fixture
def embedder() -> CountingEmbedder:
    return CountingEmbedder()


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(CollectorRegistry())


@pytest.fixture
def service(embedder: CountingEmbedder, clock: HandClock, metrics: Metrics) -> EmbeddingsService:
    settings = EmbeddingsSettings(cache_entries=3, cache_ttl_s=100.0, warm_up=False)
    return EmbeddingsService(embedders=[embedder], settings=settings, clock=clock, metrics=metrics)


@pytest.fixture
async def node(service: EmbeddingsService) -> AsyncIterator[Node]:
    async with local_node(service) as node:
        yield node


@pytest.fixture
def context(node: Node) -> Context:
    return node.context(identity=service_identity("documents"))


async def embed(context: Context, *texts: str) -> list[float]:
    answer = await context.call(EMBED, EmbedTexts(texts=texts))
    return np.frombuffer(answer.vectors, "<f4").reshape(-1, answer.dimensions)[:, 0].tolist()


async def test_vectors_come_in_the_order_of_the_texts(context: Context) -> None:
    assert await embed(context, "ccc", "a", "bb", "a") == [3.0, 1.0, 2.0, 1.0]


@pytest.mark.requirement("I12")
async def test_each_text_is_embedded_once(context: Context, embedder: CountingEmbedder, metrics: Metrics) -> None:
    await embed(context, "a", "bb", "a")
    await embed(context, "a", "ccc")

    assert embedder.texts == ["a", "bb", "ccc"]
    reads = metrics.registry.get_sample_value
    assert reads("fireside_cache_reads_total", {"namespace": "embeddings", "outcome": "hit"}) == 1
    assert reads("fireside_cache_reads_total", {"namespace": "embeddings", "outcome": "miss"}) == 3


async def test_what_was_not_used_for_longest_is_forgotten_first(context: Context, embedder: CountingEmbedder) -> None:
    for text in ("a", "bb", "ccc", "a", "dddd"):
        await embed(context, text)

    await embed(context, "a", "ccc", "dddd")
    assert embedder.texts == ["a", "bb", "ccc", "dddd"]
    await embed(context, "bb")
    assert embedder.texts[-1] == "bb"


@pytest.mark.requirement("I12")
@pytest.mark.requirement("C7")
async def test_vectors_are_kept_for_their_time_only(
    context: Context, embedder: CountingEmbedder, clock: HandClock
) -> None:
    await embed(context, "a")
    clock.seconds = 99.9
    await embed(context, "a")
    assert embedder.texts == ["a"]

    clock.seconds = 100.0
    await embed(context, "a")

    assert embedder.texts == ["a", "a"]


async def test_another_model_does_not_get_the_vectors_of_the_first(
    context: Context, embedder: CountingEmbedder
) -> None:
    await embed(context, "a")

    embedder.facts = replace(embedder.facts, version="2")
    await embed(context, "a")

    assert embedder.texts == ["a", "a"]


async def test_facts_of_the_model_name_a_generation_of_the_index(context: Context) -> None:
    model = (await context.call(MODELS, Nothing())).default

    assert model.name == "Counting/Model:1"
    assert model.index_name.startswith("mcounting-model-1-")
    assert (model.dimensions, model.max_tokens, model.state) == (2, 8, "idle")
    await embed(context, "a")
    assert (await context.call(MODELS, Nothing())).default.state == "ready"


@pytest.mark.requirement("I12")
async def test_several_models_embed_side_by_side_each_under_its_name_and_version(
    clock: HandClock, metrics: Metrics
) -> None:
    first, second = CountingEmbedder("mini"), CountingEmbedder("mini", version="2", dimensions=3)
    settings = EmbeddingsSettings(warm_up=False)
    service = EmbeddingsService(embedders=[first, second], settings=settings, clock=clock, metrics=metrics)
    async with local_node(service) as node:
        context = node.context(identity=service_identity("documents"))
        models = await context.call(MODELS, Nothing())
        made = [await context.call(EMBED, EmbedTexts(texts=("a",), model=model)) for model in ("", "mini", "mini@2")]
        with pytest.raises(NotFoundError, match="mini@2"):
            await context.call(EMBED, EmbedTexts(texts=("a",), model="absent"))

    assert [(item.name, item.version, item.dimensions) for item in models.items] == [
        ("mini", "1", 2),
        ("mini@2", "2", 3),
    ]
    assert len({item.index_name for item in models.items}) == 2
    assert [(each.model, each.dimensions, len(each.vectors)) for each in made] == [
        ("mini", 2, 8),
        ("mini", 2, 8),
        ("mini@2", 3, 12),
    ]
    assert (first.texts, second.texts) == (["a"], ["a"])
    assert first.closed
    assert second.closed


@pytest.mark.requirement("I12")
async def test_a_model_that_fails_again_and_again_does_not_silence_the_others(
    clock: HandClock, metrics: Metrics
) -> None:
    bad, good = CountingEmbedder("bad"), CountingEmbedder("good")
    bad.failure = EmbedderUnavailableError("its server is away")
    settings = EmbeddingsSettings(warm_up=False)
    service = EmbeddingsService(embedders=[good, bad], settings=settings, clock=clock, metrics=metrics)
    async with local_node(service) as node:
        context = node.context(identity=service_identity("documents"))
        for _ in range(6):
            with pytest.raises(EmbedderUnavailableError):
                await context.call(EMBED, EmbedTexts(texts=("a",), model="bad"))

        assert await embed(context, "a") == [1.0]


async def test_vectors_of_another_length_than_the_model_says_are_refused(
    context: Context, embedder: CountingEmbedder
) -> None:
    async def wrong(texts: Sequence[str]) -> Vectors:
        return np.ones((len(texts), 5), dtype=np.float32)

    embedder.embed = wrong

    with pytest.raises(EmbedderFailedError, match="shape"):
        await embed(context, "a")


@pytest.mark.parametrize("name", ["bge/small:v1.5", "BGE-small", "bge-small-", "-bge", "é", "x" * 300])
def test_every_name_of_a_model_names_a_generation_of_its_own(name: str) -> None:
    plain = "bge-small-v1.5"

    check_generation_name(index_name(name))
    assert index_name(plain) == plain
    assert index_name(name) != index_name(name.lower() + "2")
    assert index_name("bge/small") != index_name("bge-small")


async def test_a_failing_model_is_told_to_the_caller_and_nothing_is_kept(
    context: Context, embedder: CountingEmbedder
) -> None:
    embedder.failure = EmbedderUnavailableError("no model")
    with pytest.raises(EmbedderUnavailableError):
        await embed(context, "a")

    embedder.failure = None

    assert await embed(context, "a") == [1.0]


async def test_people_cannot_call_it(node: Node) -> None:
    person = node.context(identity=user_identity(UserId(new_id()), roles=["admin"], permissions=["documents:read"]))

    with pytest.raises(ForbiddenError):
        await embed(person, "a")


async def test_the_model_is_loaded_in_the_background_and_let_go_at_the_end(
    embedder: CountingEmbedder, clock: HandClock, metrics: Metrics
) -> None:
    service = EmbeddingsService(embedders=[embedder], settings=EmbeddingsSettings(), clock=clock, metrics=metrics)
    assert (await service.health())["embedder"].status == "degraded"

    async with local_node(service):
        async with asyncio.timeout(5):
            while not embedder.ready:
                await asyncio.sleep(0)
        assert (await service.health())["embedder"].status == "ok"

    assert embedder.closed


async def test_a_model_that_cannot_be_loaded_degrades_the_node_but_does_not_stop_it(
    embedder: CountingEmbedder, clock: HandClock, metrics: Metrics
) -> None:
    embedder.failure = EmbedderUnavailableError("no model file")
    service = EmbeddingsService(embedders=[embedder], settings=EmbeddingsSettings(), clock=clock, metrics=metrics)

    async with local_node(service) as node:
        async with asyncio.timeout(5):
            while "file" not in (await service.health())["embedder"].detail:
                await asyncio.sleep(0)
        assert (await service.health())["embedder"].status == "degraded"

        embedder.failure = None
        assert await embed(node.context(identity=service_identity("documents")), "abc") == [3.0]
        assert (await service.health())["embedder"].status == "ok"


def test_a_cache_of_no_entries_keeps_nothing(clock: HandClock) -> None:
    cache = VectorCache(entries=0, ttl_s=10.0, clock=clock)

    cache.keep(b"k", b"row")

    assert cache.find(b"k") is None
    assert len(cache) == 0


def test_keys_tell_models_and_texts_apart() -> None:
    keys = {cache_key(model, text) for model in ("a", "b") for text in ("", "x", "\ud800", "x\0")}

    assert len(keys) == 8


async def test_nodes_that_share_a_cache_embed_a_question_once_and_documents_each_for_itself(
    embedder: CountingEmbedder, clock: HandClock, metrics: Metrics
) -> None:
    store, settings = MemoryCache(), EmbeddingsSettings(warm_up=False)
    many = tuple(f"{number} passages" for number in range(9))
    for _ in range(2):
        service = EmbeddingsService(
            embedders=[embedder],
            settings=settings,
            clock=clock,
            metrics=metrics,
            keeping=Keeping(Cache(store, metrics=metrics), is_shared=True),
        )
        async with local_node(service) as node:
            context = node.context(identity=service_identity("documents"))
            assert await embed(context, "a", "bb") == [1.0, 2.0]
            await embed(context, *many)

    assert embedder.texts == ["a", "bb", *many, *many]
    assert len(store.keys) == 2
    assert 86_390 < (await store.look_up(store.keys[0])).ttl_s <= 86_400


class Notes:
    """Notes in memory."""

    def __init__(self) -> None:
        self.written: Mapping[str, Any] = {}

    def read(self) -> Mapping[str, Any]:
        return self.written

    def write(self, notes: Mapping[str, Any]) -> None:
        self.written = notes


def warmed(metrics: Metrics) -> float:
    return metrics.registry.get_sample_value("fireside_cache_warmed_total", {"warmer": "embeddings"}) or 0


@pytest.mark.requirement("C4")
async def test_after_a_start_the_vectors_are_there_of_what_was_asked_twice_and_of_nothing_else(
    embedder: CountingEmbedder, clock: HandClock
) -> None:
    notes, settings = Notes(), EmbeddingsSettings(warm_up=False)
    for _ in range(2):
        metrics = Metrics(CollectorRegistry())
        keeping = Keeping(Cache(MemoryCache(), metrics=metrics), notes=notes)
        service = EmbeddingsService(
            embedders=[embedder], settings=settings, clock=clock, metrics=metrics, keeping=keeping
        )
        async with local_node(service) as node:
            context = node.context(identity=service_identity("documents"))
            await eventually(lambda metrics=metrics: warmed(metrics) == 1)
            assert await embed(context, "a", "bb") == [1.0, 2.0]
            await embed(context, "a")

    assert embedder.texts == ["a", "bb", "bb"]
    assert "bb" not in str(notes.written)


@pytest.mark.requirement("C4")
async def test_when_the_shared_cache_was_emptied_the_vectors_of_questions_come_back_into_it(
    embedder: CountingEmbedder, clock: HandClock, metrics: Metrics
) -> None:
    store, settings = MemoryCache(), EmbeddingsSettings(warm_up=False)
    keeping = Keeping(Cache(store, metrics=metrics), is_shared=True)
    service = EmbeddingsService(embedders=[embedder], settings=settings, clock=clock, metrics=metrics, keeping=keeping)
    async with local_node(service) as node:
        context = node.context(identity=service_identity("documents"))
        for _ in range(2):
            await embed(context, "a", "bb")
            await embed(context, *(f"{number} passages" for number in range(9)))
        before = list(store.keys)

        await store.clear()
        await eventually(lambda: warmed(metrics) == 2)

        assert sorted(store.keys) == sorted(before)
        assert len(before) == 2
