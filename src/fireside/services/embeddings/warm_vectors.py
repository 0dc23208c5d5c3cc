"""Vectors that are there before their texts come again: those of the texts that came most often.

A vector follows from its text and model alone, so it is never out of date and the same for everybody. What is noted
holds digests of texts, never texts.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import TypeAdapter

from fireside.contracts.base import Contract
from fireside.core.clock import Clock
from fireside.ports.node_notes import NodeNotes
from fireside.runtime.caching import Cache, Often
from fireside.services.embeddings.settings import EmbeddingsSettings
from fireside.services.embeddings.shared_vectors import SharedVectors
from fireside.services.embeddings.vector_cache import VectorCache


class AskedVector(Contract):
    """One vector, little-endian float32. `is_question`: nodes share it, because it was asked for alone."""

    data: bytes
    is_question: bool


@dataclass(frozen=True, slots=True)
class Keeping:
    """Where vectors are kept beside the memory of the service.

    Attributes:
        cache: The cache of the node.
        is_shared: Other nodes read from it.
        notes: What was asked most often, for the next start; None to begin it with nothing.
    """

    cache: Cache
    is_shared: bool = False
    notes: NodeNotes | None = None


class WarmVectors:
    """Fills the memory of the service, and the cache that nodes share, with what is asked for again and again."""

    def __init__(self, keeping: Keeping, own: VectorCache, *, settings: EmbeddingsSettings, clock: Clock) -> None:
        """Prepare.

        Args:
            keeping: Where else vectors are kept.
            own: The memory of the service.
            settings: How many, and how long.
            clock: Tells the time.
        """
        self._cache, self._own = keeping.cache, own
        self.shared = SharedVectors(keeping.cache, ttl_s=settings.cache_ttl_s) if keeping.is_shared else None
        self._often = Often(TypeAdapter(AskedVector), most=settings.warm_texts, clock=clock, notes=keeping.notes)

    async def start(self) -> None:
        """Begin to fill them now and whenever the cache was emptied."""
        await self._often.start()
        self._cache.keep_warm("embeddings", self._load)

    async def stop(self) -> None:
        """Note what was asked for most often."""
        await self._often.stop()

    def note(self, rows: Mapping[bytes, bytes], *, are_questions: bool) -> None:
        """Somebody asked for these vectors."""
        for key, row in rows.items():
            self._often.note(key.hex(), AskedVector(data=row, is_question=are_questions))

    async def _load(self) -> None:
        best = {bytes.fromhex(key): asked for key, asked in self._often.best().items()}
        for key, asked in reversed(best.items()):  # what came most often is forgotten last
            if self._own.find(key) is None:
                self._own.keep(key, asked.data)
        if self.shared is not None:
            await self.shared.keep({key: asked.data for key, asked in best.items() if asked.is_question})
