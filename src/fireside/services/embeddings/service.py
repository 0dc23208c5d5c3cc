"""The embeddings service: answers from its cache, and embeds what is not in it, each text once."""

import asyncio
from collections.abc import Mapping, Sequence

import structlog

from fireside.contracts.answer import Usage
from fireside.contracts.base import Nothing
from fireside.contracts.embeddings import EMBED, MODELS, EmbeddingModels, Embeddings, EmbedTexts
from fireside.core.clock import Clock
from fireside.core.errors import FiresideError
from fireside.ports.embedder import Embedder, EmbedderFailedError
from fireside.runtime.errors import PartOf
from fireside.runtime.health import Check
from fireside.runtime.mesh import Context, Service, action
from fireside.runtime.metering import Expected, Measures, Unmetered
from fireside.runtime.metrics import Metrics
from fireside.services.embeddings.settings import EmbeddingsSettings
from fireside.services.embeddings.shelf import Shelf
from fireside.services.embeddings.vector_cache import VectorCache, cache_key
from fireside.services.embeddings.warm_vectors import Keeping, WarmVectors

log = structlog.stdlib.get_logger(__name__)

_NAMESPACE = "embeddings"
_QUESTIONS = 8
"""So few texts at once come from questions, which are asked again; documents come in larger numbers, and once."""


class EmbeddingsService(Service):
    """Turns texts into vectors; its default model is loaded in the background, the others with their first text."""

    name = "embeddings"

    def __init__(
        self,
        *,
        embedders: Sequence[Embedder],
        settings: EmbeddingsSettings,
        clock: Clock,
        metrics: Metrics,
        keeping: Keeping | None = None,
        meter: Measures | None = None,
    ) -> None:
        """Prepare.

        Args:
            embedders: Do the work, the default first; they are closed with the service.
            settings: How long vectors are kept.
            clock: Tells how old they are.
            metrics: Where to count.
            keeping: Where vectors are kept beside this service's memory; None for nowhere.
            meter: Holds what people ask for themselves to limits, and counts it; None to do neither.
        """
        self._shelf = Shelf(embedders)
        self._settings = settings
        self._metrics = metrics
        self._meter = meter or Unmetered()
        self._cache = VectorCache(entries=settings.cache_entries, ttl_s=settings.cache_ttl_s, clock=clock)
        self._warm = None if keeping is None else WarmVectors(keeping, self._cache, settings=settings, clock=clock)
        self._shared = None if self._warm is None else self._warm.shared
        self._warming: asyncio.Task[None] | None = None
        self._failure = ""

    async def start(self, context: Context) -> None:  # noqa: ARG002 - a service's start is given its context
        """Begin to load the default model, for which keyword search does not wait, and what was asked most often."""
        if self._warm is not None:
            await self._warm.start()
        if self._settings.warm_up:
            self._warming = asyncio.create_task(self._warm_up())

    async def stop(self) -> None:
        """Note what was asked most often, and let go of the models."""
        if self._warm is not None:
            await self._warm.stop()
        if self._warming is not None:
            self._warming.cancel()
        await self._shelf.aclose()

    async def health(self) -> Mapping[str, Check]:
        """Whether the default model is loaded."""
        if self._failure:
            return {"embedder": Check("degraded", self._failure)}
        return {"embedder": Check("degraded", "the model is still loading") if self._is_loading else Check("ok")}

    @action(EMBED)
    async def embed(self, context: Context, request: EmbedTexts) -> Embeddings:
        """Embed texts.

        Raises:
            UnknownEmbeddingModelError: There is no model of that name.
            EmbedderUnavailableError: The model cannot be loaded or reached.
            EmbedderFailedError: The model's answer is not usable.
            LimitExceededError: The texts are somebody's own, and a limit has no room for them.
        """
        embedder = self._shelf.get(request.model)
        if not request.metered:
            return await self._embedded(embedder, request)
        words = sum(len(text.split()) for text in request.texts)  # the embedder keeps its tokens to itself
        expected = Expected(3 * words, 0, words)
        async with self._meter.measure(context, embedder.facts.name, lambda: expected) as measured:
            measured.asked()
            made = await self._embedded(embedder, request)
            measured.used(Usage(prompt_tokens=words, total_tokens=words))
            return made

    async def _embedded(self, embedder: Embedder, request: EmbedTexts) -> Embeddings:
        name, dimensions = embedder.facts.full_name, embedder.facts.dimensions
        keys = [cache_key(name, text) for text in request.texts]
        rows = {key: row for key in set(keys) if (row := self._cache.find(key)) is not None}
        missing = {key: text for key, text in zip(keys, request.texts, strict=True) if key not in rows}
        self._metrics.cache_reads.labels(_NAMESPACE, "hit").inc(len(rows))
        self._metrics.cache_reads.labels(_NAMESPACE, "miss").inc(len(missing))
        if self._shared is not None and len(missing) <= _QUESTIONS:
            known = await self._shared.find(list(missing))
            rows |= known
            missing = {key: text for key, text in missing.items() if key not in known}
        rows |= await self._compute(embedder, list(missing), list(missing.values()))
        if self._warm is not None:
            self._warm.note(rows, are_questions=len(request.texts) <= _QUESTIONS)
        vectors = b"".join(rows[key] for key in keys)
        return Embeddings(model=name, dimensions=dimensions, vectors=vectors)

    @action(MODELS)
    async def models(self, context: Context, request: Nothing) -> EmbeddingModels:  # noqa: ARG002
        """Facts about every model."""
        return EmbeddingModels(items=tuple(self._shelf.models(loading=self._is_loading)))

    @property
    def _is_loading(self) -> bool:
        return self._settings.warm_up and not self._shelf.default.ready

    async def _compute(self, embedder: Embedder, keys: Sequence[bytes], texts: Sequence[str]) -> dict[bytes, bytes]:
        if not texts:
            return {}
        with PartOf(f"embedding model {embedder.facts.full_name}"):
            vectors = await embedder.embed(texts)
            if vectors.shape != (len(texts), embedder.facts.dimensions):
                raise EmbedderFailedError(f"{embedder.facts.full_name} gave vectors of shape {vectors.shape}")
        if embedder is self._shelf.default:
            self._failure = ""
        rows = {key: vector.astype("<f4").tobytes() for key, vector in zip(keys, vectors, strict=True)}
        for key, row in rows.items():
            self._cache.keep(key, row)
        if self._shared is not None and len(rows) <= _QUESTIONS:
            await self._shared.keep(rows)
        return rows

    async def _warm_up(self) -> None:
        try:
            await self._shelf.default.warm_up()
        except FiresideError as error:
            self._failure = error.message
            log.warning("embedder_not_loaded", code=error.code, detail=error.message)
