"""The embeddings service: answers from its cache, and embeds what is not in it, each text once."""

import asyncio
from collections.abc import Mapping, Sequence

import structlog

from fireside.contracts.base import Nothing
from fireside.contracts.embeddings import EMBED, MODEL, EmbeddingModel, Embeddings, EmbedTexts
from fireside.core.clock import Clock
from fireside.core.errors import FiresideError
from fireside.ports.embedder import Embedder
from fireside.runtime.caching import Cache
from fireside.runtime.health import Check
from fireside.runtime.mesh import Context, Service, action
from fireside.runtime.metrics import Metrics
from fireside.services.embeddings.settings import EmbeddingsSettings
from fireside.services.embeddings.shared_vectors import SharedVectors
from fireside.services.embeddings.vector_cache import VectorCache, cache_key

log = structlog.stdlib.get_logger(__name__)

_NAMESPACE = "embeddings"
_QUESTIONS = 8
"""So few texts at once come from questions, which are asked again; documents come in larger numbers, and once."""


class EmbeddingsService(Service):
    """Turns texts into vectors with one model, which is loaded in the background."""

    name = "embeddings"

    def __init__(
        self,
        *,
        embedder: Embedder,
        settings: EmbeddingsSettings,
        clock: Clock,
        metrics: Metrics,
        shared: Cache | None = None,
    ) -> None:
        """Prepare.

        Args:
            embedder: Does the work; it is closed with the service.
            settings: How long vectors are kept.
            clock: Tells how old they are.
            metrics: Where to count.
            shared: A cache that nodes share, for the vectors of questions; None when there is only this node's own.
        """
        self._embedder = embedder
        self._settings = settings
        self._metrics = metrics
        self._cache = VectorCache(entries=settings.cache_entries, ttl_s=settings.cache_ttl_s, clock=clock)
        self._shared = None if shared is None else SharedVectors(shared, ttl_s=settings.cache_ttl_s)
        self._warming: asyncio.Task[None] | None = None
        self._failure = ""

    async def start(self, context: Context) -> None:  # noqa: ARG002 - a service's start is given its context
        """Begin to load the model; keyword search does not wait for it."""
        if self._settings.warm_up:
            self._warming = asyncio.create_task(self._warm_up())

    async def stop(self) -> None:
        """Let go of the model."""
        if self._warming is not None:
            self._warming.cancel()
        await self._embedder.aclose()

    async def health(self) -> Mapping[str, Check]:
        """Whether the model is loaded."""
        if self._failure:
            return {"embedder": Check("degraded", self._failure)}
        waiting = self._settings.warm_up and not self._embedder.ready
        return {"embedder": Check("degraded", "the model is still loading") if waiting else Check("ok")}

    @action(EMBED)
    async def embed(self, context: Context, request: EmbedTexts) -> Embeddings:  # noqa: ARG002
        """Embed texts.

        Raises:
            EmbedderUnavailableError: The model cannot be loaded or reached.
        """
        name = self._embedder.name
        keys = [cache_key(name, text) for text in request.texts]
        rows = {key: row for key in set(keys) if (row := self._cache.find(key)) is not None}
        missing = {key: text for key, text in zip(keys, request.texts, strict=True) if key not in rows}
        self._metrics.cache_reads.labels(_NAMESPACE, "hit").inc(len(rows))
        self._metrics.cache_reads.labels(_NAMESPACE, "miss").inc(len(missing))
        if self._shared is not None and len(missing) <= _QUESTIONS:
            known = await self._shared.find(list(missing))
            rows |= known
            missing = {key: text for key, text in missing.items() if key not in known}
        rows |= await self._compute(list(missing), list(missing.values()))
        vectors = b"".join(rows[key] for key in keys)
        return Embeddings(model=name, dimensions=self._embedder.dimensions, vectors=vectors)

    @action(MODEL)
    async def model(self, context: Context, request: Nothing) -> EmbeddingModel:  # noqa: ARG002
        """Facts about the model in use."""
        return EmbeddingModel(
            name=self._embedder.name,
            index_name=_index_name(self._embedder.name),
            dimensions=self._embedder.dimensions,
            max_tokens=self._embedder.max_tokens,
            state="ready" if self._embedder.ready else "loading",
        )

    async def _compute(self, keys: Sequence[bytes], texts: Sequence[str]) -> dict[bytes, bytes]:
        if not texts:
            return {}
        vectors = await self._embedder.embed(texts)
        self._failure = ""
        rows = {key: vector.astype("<f4").tobytes() for key, vector in zip(keys, vectors, strict=True)}
        for key, row in rows.items():
            self._cache.keep(key, row)
        if self._shared is not None and len(rows) <= _QUESTIONS:
            await self._shared.keep(rows)
        return rows

    async def _warm_up(self) -> None:
        try:
            await self._embedder.warm_up()
        except FiresideError as error:
            self._failure = error.message
            log.warning("embedder_not_loaded", code=error.code, detail=error.message)


def _index_name(name: str) -> str:
    """A model's name with only the characters that a generation of the index may have."""
    return "".join(character if character in _NAME_CHARACTERS else "-" for character in name.lower())[:100]


_NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789._-")
