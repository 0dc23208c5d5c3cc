"""What the vectors service offers: the search index of chunks, by meaning and by words.

Internal: callers say which collections the asker may read, and nothing outside them can be found.
"""

from uuid import UUID

from pydantic import Field, model_validator

from fireside.contracts.base import INTERNAL, Action, Contract, Nothing
from fireside.core.ids import ChunkId, DocumentId


class IndexedChunk(Contract):
    """A chunk as the index keeps it.

    `vectors` is (1 + k, d) little-endian float32: first the whole chunk with title and headings, then its k windows of
    a few sentences, none when the chunk is no longer than one; empty for a chunk that is found by its words only.
    `text` is what the search by words sees: title, headings and passage. It is not stored.
    """

    chunk_id: UUID
    document_id: UUID
    collection_id: UUID
    text: str
    vectors: bytes = b""


class UpsertChunks(Contract):
    """Chunks to add or replace in a generation; the active one when None, which only chunks without vectors may leave.

    A generation belongs to one embedding model, so who brings vectors names whose they are.
    """

    chunks: tuple[IndexedChunk, ...]
    generation: str | None = None

    @model_validator(mode="after")
    def _vectors_have_a_model(self) -> "UpsertChunks":
        if self.generation is None and any(chunk.vectors for chunk in self.chunks):
            raise ValueError("chunks with vectors name the generation of their model")
        return self


class DeleteChunks(Contract):
    """What to remove from every generation: chunks, all chunks of documents, all chunks of collections."""

    chunk_ids: tuple[UUID, ...] = ()
    document_ids: tuple[UUID, ...] = ()
    collection_ids: tuple[UUID, ...] = ()


class SearchScope(Contract):
    """Where to search: only in these collections, and only in these documents unless None."""

    collection_ids: tuple[UUID, ...]
    document_ids: tuple[UUID, ...] | None = None


class SearchChunks(Contract):
    """A query by meaning (`vector`, d little-endian float32, empty for none) and by words (`text`, empty for none).

    `generation` is the one to search, the active one when None; a query with a vector names that of the vector's model,
    because vectors of different models must not be compared. `limit` is how many chunks each of the two rankings
    contributes.
    """

    scope: SearchScope
    text: str = ""
    vector: bytes = b""
    limit: int = Field(default=100, ge=1, le=1000)
    generation: str | None = None

    @model_validator(mode="after")
    def _vector_has_a_model(self) -> "SearchChunks":
        if self.vector and self.generation is None:
            raise ValueError("a query with a vector names the generation of its model")
        return self


class Candidate(Contract):
    """A chunk that may answer, with both scores.

    `similarity` is the cosine-like closeness of its closest window, -1 to 1; None when the query or the chunk has no
    vector. `keyword` is its BM25 score divided by the square root of the number of the query's terms, 0 without a
    common word.
    """

    chunk_id: ChunkId
    document_id: DocumentId
    similarity: float | None
    keyword: float


class Candidates(Contract):
    """The best chunks of both rankings, each once, in no particular order."""

    items: tuple[Candidate, ...]


class CountChunks(Contract):
    """Asks how many chunks a generation (the active one when None) has in the scope (everywhere when None)."""

    scope: SearchScope | None = None
    generation: str | None = None


class ChunkCount(Contract):
    """A number of chunks."""

    count: int


class FindMissing(Contract):
    """Asks which of these chunks a generation does not hold."""

    generation: str
    chunk_ids: tuple[UUID, ...] = Field(max_length=10_000)


class MissingChunks(Contract):
    """Chunks that are not there."""

    chunk_ids: tuple[UUID, ...]


class PrepareGeneration(Contract):
    """Makes a generation of the index for vectors of a model; becomes the active one when there is none yet."""

    generation: str
    dimensions: int = Field(ge=1, le=65536)


class GenerationName(Contract):
    """A generation of the index."""

    generation: str


class IndexGenerations(Contract):
    """The generations of the index and the one that is searched."""

    generations: tuple[str, ...]
    active: str | None


UPSERT: Action[UpsertChunks, Nothing] = Action(
    "vectors.upsert", UpsertChunks, Nothing, access=INTERNAL, idempotent=True, timeout_s=120.0
)
DELETE: Action[DeleteChunks, Nothing] = Action(
    "vectors.delete", DeleteChunks, Nothing, access=INTERNAL, idempotent=True, timeout_s=120.0
)
SEARCH: Action[SearchChunks, Candidates] = Action(
    "vectors.search", SearchChunks, Candidates, access=INTERNAL, idempotent=True
)
COUNT: Action[CountChunks, ChunkCount] = Action(
    "vectors.count", CountChunks, ChunkCount, access=INTERNAL, idempotent=True
)
MISSING: Action[FindMissing, MissingChunks] = Action(
    "vectors.missing", FindMissing, MissingChunks, access=INTERNAL, idempotent=True, timeout_s=120.0
)
GENERATIONS: Action[Nothing, IndexGenerations] = Action(
    "vectors.generations", Nothing, IndexGenerations, access=INTERNAL, idempotent=True
)
PREPARE: Action[PrepareGeneration, IndexGenerations] = Action(
    "vectors.prepare", PrepareGeneration, IndexGenerations, access=INTERNAL, idempotent=True, timeout_s=120.0
)
ACTIVATE: Action[GenerationName, IndexGenerations] = Action(
    "vectors.activate", GenerationName, IndexGenerations, access=INTERNAL, idempotent=True
)
DROP: Action[GenerationName, IndexGenerations] = Action(
    "vectors.drop", GenerationName, IndexGenerations, access=INTERNAL, idempotent=True, timeout_s=120.0
)
