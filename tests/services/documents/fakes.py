"""Stand-ins for what the documents service calls: an embedder of words, an index and a parser in memory."""

import asyncio
import hashlib
import struct
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from uuid import UUID

from fireside.adapters.document_parser.media_types import media_type_of
from fireside.adapters.document_parser.reading import reader_for
from fireside.contracts import embeddings, vectors
from fireside.contracts.base import Nothing
from fireside.core.errors import FiresideError, UnavailableError
from fireside.ports.document_parser import DocumentTooComplexError, ParsedDocument, ParseLimits, ParserUnavailableError
from fireside.ports.vector_index import UnknownGenerationError
from fireside.runtime.context import Context
from fireside.runtime.mesh import Service, action

DIMENSIONS = 64


def words_of(text: str) -> list[str]:
    return ["".join(sign for sign in word if sign.isalnum()) for word in text.lower().split()]


def dimensions_of(model: str) -> int:
    """Every model but `wide` has the same."""
    return 2 * DIMENSIONS if model == "wide" else DIMENSIONS


def vector_of(text: str, *, salt: str, size: int = DIMENSIONS) -> list[float]:
    """A vector in which texts of common words are close."""
    values = [0.0] * size
    for word in words_of(text):
        values[int(hashlib.sha256(f"{salt}{word}".encode()).hexdigest(), 16) % size] += 1.0
    length = sum(value * value for value in values) ** 0.5 or 1.0
    return [value / length for value in values]


class FakeEmbeddings(Service):
    """Embeds words.

    Set `broken` to have it fail, `refusals` to have it fail so often, `loading` to have it say so, `model` to exchange
    the default model, `others` to have more models, `failing` to have one of them fail, `gate` to have it wait, `turns`
    to have it answer so many calls.
    """

    name = "embeddings"

    def __init__(self) -> None:
        self.model = "model-1"
        self.others: list[str] = []
        self.failing: dict[str, FiresideError] = {}
        self.broken = False
        self.refusals = 0
        self.loading = False
        self.texts: list[str] = []
        self.gate: asyncio.Event | None = None
        self.turns: asyncio.Semaphore | None = None

    @action(embeddings.MODELS)
    async def tell_models(self, context: Context, request: Nothing) -> embeddings.EmbeddingModels:
        if self.refusals:
            self.refusals -= 1
            raise UnavailableError("no embedding model for now")
        if self.broken:
            raise UnavailableError("no embedding model")
        state = "loading" if self.loading else "ready"
        return embeddings.EmbeddingModels(
            items=tuple(
                embeddings.EmbeddingModel(
                    name=name, index_name=name, dimensions=dimensions_of(name), max_tokens=256, state=state
                )
                for name in (self.model, *self.others)
            )
        )

    @action(embeddings.EMBED)
    async def embed(self, context: Context, request: embeddings.EmbedTexts) -> embeddings.Embeddings:
        if self.gate is not None:
            await self.gate.wait()
        if self.turns is not None:
            await self.turns.acquire()
        if self.broken:
            raise UnavailableError("no embedding model")
        model = request.model or self.model
        if model in self.failing:
            raise self.failing[model]
        self.texts += request.texts
        size = dimensions_of(model)
        rows = b"".join(struct.pack(f"<{size}f", *vector_of(text, salt=model, size=size)) for text in request.texts)
        return embeddings.Embeddings(model=model, dimensions=size, vectors=rows)


class FakeVectors(Service):
    """An index in memory.

    Set `broken` to have it fail, `careless` to have it search everywhere, `holds_back` to a word of passages whose
    writing it acknowledges only when `go_on` is set.
    """

    name = "vectors"

    def __init__(self) -> None:
        self.broken = False
        self.active: str | None = None
        self.generations: dict[str, dict[UUID, vectors.IndexedChunk]] = {}
        self.searches: list[vectors.SearchChunks] = []
        self.careless = False
        self.handed_out: set[UUID] = set()
        self.holds_back: str | None = None
        self.go_on = asyncio.Event()

    def chunks(self, generation: str | None = None) -> list[vectors.IndexedChunk]:
        name = generation or self.active
        return [] if name is None else list(self.generations[name].values())

    def documents(self) -> set[UUID]:
        return {chunk.document_id for chunks in self.generations.values() for chunk in chunks.values()}

    def _check(self) -> None:
        if self.broken:
            raise UnavailableError("no index")

    def _generation(self, name: str | None) -> dict[UUID, vectors.IndexedChunk]:
        found = self.generations.get(name or self.active or "")
        if found is None:
            raise UnknownGenerationError(f"no generation {name}")
        return found

    def _state(self) -> vectors.IndexGenerations:
        return vectors.IndexGenerations(generations=tuple(sorted(self.generations)), active=self.active)

    @action(vectors.PREPARE)
    async def prepare(self, context: Context, request: vectors.PrepareGeneration) -> vectors.IndexGenerations:
        self._check()
        self.generations.setdefault(request.generation, {})
        self.active = self.active or request.generation
        return self._state()

    @action(vectors.GENERATIONS)
    async def list_generations(self, context: Context, request: Nothing) -> vectors.IndexGenerations:
        self._check()
        return self._state()

    @action(vectors.ACTIVATE)
    async def activate(self, context: Context, request: vectors.GenerationName) -> vectors.IndexGenerations:
        self._check()
        self.active = request.generation
        return self._state()

    @action(vectors.DROP)
    async def drop(self, context: Context, request: vectors.GenerationName) -> vectors.IndexGenerations:
        self._check()
        self.generations.pop(request.generation, None)
        return self._state()

    @action(vectors.UPSERT)
    async def upsert(self, context: Context, request: vectors.UpsertChunks) -> Nothing:
        self._check()
        self._generation(request.generation).update({chunk.chunk_id: chunk for chunk in request.chunks})
        if self.holds_back is not None and any(self.holds_back in chunk.text for chunk in request.chunks):
            await self.go_on.wait()
        return Nothing()

    @action(vectors.MISSING)
    async def missing(self, context: Context, request: vectors.FindMissing) -> vectors.MissingChunks:
        self._check()
        held = self._generation(request.generation)
        return vectors.MissingChunks(chunk_ids=tuple(id for id in request.chunk_ids if id not in held))

    @action(vectors.COUNT)
    async def count(self, context: Context, request: vectors.CountChunks) -> vectors.ChunkCount:
        self._check()
        return vectors.ChunkCount(count=len(self._generation(request.generation)))

    @action(vectors.DELETE)
    async def delete(self, context: Context, request: vectors.DeleteChunks) -> Nothing:
        self._check()
        for generation in self.generations.values():
            for chunk in list(generation.values()):
                doomed = (
                    chunk.chunk_id in request.chunk_ids
                    or chunk.document_id in request.document_ids
                    or chunk.collection_id in request.collection_ids
                )
                if doomed:
                    del generation[chunk.chunk_id]
        return Nothing()

    @action(vectors.SEARCH)
    async def search(self, context: Context, request: vectors.SearchChunks) -> vectors.Candidates:
        self._check()
        self.searches.append(request)
        held = self._generation(request.generation).values() if self.active else ()
        inside = [chunk for chunk in held if self.careless or _in_scope(chunk, request.scope)]
        hits = [_candidate(chunk, request) for chunk in inside]
        found = tuple(hit for hit in hits if hit.keyword or (hit.similarity or 0) > 0.05)
        self.handed_out |= {hit.document_id for hit in found}
        return vectors.Candidates(items=found)


def _in_scope(chunk: vectors.IndexedChunk, scope: vectors.SearchScope) -> bool:
    in_document = scope.document_ids is None or chunk.document_id in scope.document_ids
    return chunk.collection_id in scope.collection_ids and in_document


def _candidate(chunk: vectors.IndexedChunk, request: vectors.SearchChunks) -> vectors.Candidate:
    has_vectors = bool(chunk.vectors and request.vector)
    counts = Counter(words_of(chunk.text))
    return vectors.Candidate(
        chunk_id=chunk.chunk_id,
        document_id=chunk.document_id,
        similarity=max(_dots(request.vector, chunk.vectors)) if has_vectors else None,
        keyword=float(sum(counts[word] for word in words_of(request.text))),
    )


def _dots(query: bytes, rows: bytes) -> Iterable[float]:
    size = len(query) // 4
    left = struct.unpack(f"<{size}f", query)
    for right in struct.iter_unpack(f"<{size}f", rows):
        yield sum(a * b for a, b in zip(left, right, strict=True))


class InProcessParser:
    """Reads files with the real readers, without a process of their own.

    A file that begins with CRASH breaks the reader, one that begins with BUG finds a fault in it; set `broken` to have
    no reader at all.
    """

    def __init__(self) -> None:
        self.parsed: list[str] = []
        self.gate: asyncio.Event | None = None
        self.broken = False

    def media_type_of(self, file_name: str, *, declared: str = "") -> str | None:
        return media_type_of(file_name, declared=declared)

    async def parse(
        self, content: bytes | Path, *, media_type: str, file_name: str, limits: ParseLimits
    ) -> ParsedDocument:
        assert isinstance(content, bytes)
        if self.gate is not None:
            await self.gate.wait()
        if self.broken:
            raise ParserUnavailableError("no reader")
        self.parsed.append(file_name)
        if content[:5] == b"CRASH":
            raise DocumentTooComplexError("reading the file broke its reader")
        if content[:3] == b"BUG":
            raise ZeroDivisionError("words that must not be shown")
        return await asyncio.to_thread(reader_for(media_type), content, limits=limits)

    async def aclose(self) -> None:
        """Nothing to end."""
