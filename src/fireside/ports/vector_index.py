"""Finding chunks by meaning and by words in one index, with the limits of what the asker may see pushed down into it.

A point is one chunk: the vectors of its windows (a chunk is as close as its closest window), its words as a sparse
vector of BM25 weights without the inverse document frequency (the engine multiplies it in, from what it holds now),
and the ids of its document and collection. No text is stored. The index is kept in *generations*, one per embedding
model, of which one is searched: a new model is filled beside the old one and then activated.

Above lies the vectors service; below lie the engines. How scores are weighed against each other is not its business.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from fireside.core.errors import ConflictError, InvalidInputError, NotFoundError, UnavailableError


@dataclass(frozen=True, slots=True, eq=False)
class SparseVector:
    """Weights of terms. `terms`: (n,) uint32, distinct; `weights`: (n,) float32, greater than 0."""

    terms: NDArray[np.uint32]
    weights: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class IndexPoint:
    """One chunk.

    Attributes:
        id: The chunk's id; a point of the same id is replaced.
        windows: (k, d) float32; k may be 0 for a chunk that is found by its words only.
        words: Its terms; may be empty for a chunk without words.
    """

    id: UUID
    document_id: UUID
    collection_id: UUID
    windows: NDArray[np.float32]
    words: SparseVector


@dataclass(frozen=True, slots=True)
class Scope:
    """Which points count. Both parts must hold; None does not limit, an empty set matches nothing."""

    collection_ids: frozenset[UUID] | None = None
    document_ids: frozenset[UUID] | None = None

    @property
    def is_empty(self) -> bool:
        """Whether no point can be inside."""
        return self.collection_ids == frozenset() or self.document_ids == frozenset()


@dataclass(frozen=True, slots=True, eq=False)
class IndexQuery:
    """A search by meaning, by words, or both.

    Attributes:
        vector: (d,) float32, or None not to search by meaning.
        words: Query terms, each with its weight (its count in the query), or None not to search by words.
        limit: How many points each of the two rankings contributes.
        generation: The one to search, whose model made the vector; the active one when None.
    """

    scope: Scope
    vector: NDArray[np.float32] | None = None
    words: SparseVector | None = None
    limit: int = 100
    generation: str | None = None


@dataclass(frozen=True, slots=True)
class IndexHit:
    """A point among the best of one ranking or both, with the scores of both.

    Attributes:
        similarity: Greatest dot product of the query's vector with one of its windows; None when the query or the
            point has no vector.
        bm25: Sum over the query's terms of query weight x weight in the chunk x inverse document frequency,
            ln(1 + (N - n + 0.5) / (n + 0.5)) over the points inside the scope; 0 without a common term.
    """

    id: UUID
    document_id: UUID
    similarity: float | None
    bm25: float


@dataclass(frozen=True, slots=True)
class IndexState:
    """The generations that exist, in order of their names, and the one that is searched."""

    generations: tuple[str, ...]
    active: str | None


class IndexUnavailableError(UnavailableError):
    """The search index cannot be opened or reached."""

    code = "index_unavailable"


class UnknownGenerationError(NotFoundError):
    """The search index has no such generation."""

    code = "unknown_generation"


class ActiveGenerationError(ConflictError):
    """The generation that is searched cannot be dropped."""

    code = "active_generation"


class VectorShapeError(InvalidInputError):
    """A vector has another length than the index was made for."""

    code = "vector_shape"


class VectorIndex(Protocol):
    """Every method raises IndexUnavailableError when the engine cannot be reached, and may run concurrently."""

    async def open(self) -> None:
        """Make ready; fails when another process holds the same files."""
        ...

    async def state(self) -> IndexState:
        """The generations."""
        ...

    async def create(self, generation: str, *, dimensions: int) -> None:
        """Make an empty generation, inactive; nothing happens when it exists.

        Args:
            generation: Lower-case letters, digits, `-`, `_` and `.`, beginning with a letter or digit, at most 100.
            dimensions: Length of its vectors, d.

        Raises:
            InvalidInputError: The name is not of that form.
            VectorShapeError: It exists with another number of dimensions.
        """
        ...

    async def dimensions(self, generation: str | None = None) -> int:
        """Length of a generation's vectors (the active one's when None).

        Raises:
            UnknownGenerationError: There is no such generation, or none is active.
        """
        ...

    async def activate(self, generation: str) -> None:
        """Search this generation from now on; the change is atomic and durable.

        Raises:
            UnknownGenerationError: There is none of that name.
        """
        ...

    async def drop(self, generation: str) -> None:
        """Remove a generation and all in it; nothing happens when there is none.

        Raises:
            ActiveGenerationError: It is the active one.
        """
        ...

    async def upsert(self, points: Sequence[IndexPoint], *, generation: str | None = None) -> None:
        """Add or replace points; found by every search that starts after this returns, and still there after a kill.

        Args:
            points: Of any number.
            generation: The active one when None.

        Raises:
            UnknownGenerationError: There is no such generation, or none is active.
            VectorShapeError: A window's length is not the generation's.
        """
        ...

    async def delete(self, ids: Sequence[UUID]) -> None:
        """Remove points from every generation; unknown ids are ignored."""
        ...

    async def delete_in(self, scope: Scope) -> None:
        """Remove every point inside the scope from every generation; a scope that limits nothing removes all."""
        ...

    async def search(self, query: IndexQuery) -> Sequence[IndexHit]:
        """Search one generation; when none is named and none is active there is nothing to find.

        Returns:
            The best `limit` points by similarity and the best `limit` by BM25, each once, in no particular order.
            Points outside the scope influence nothing, neither the hits nor their scores.

        Raises:
            UnknownGenerationError: There is none of the name that the query gives.
            VectorShapeError: The query's vector has another length than the generation's.
        """
        ...

    async def missing(self, ids: Sequence[UUID], *, generation: str) -> Sequence[UUID]:
        """Those of these points that a generation does not hold, in the order given.

        Raises:
            UnknownGenerationError: There is no such generation.
        """
        ...

    async def count(self, scope: Scope, *, generation: str | None = None) -> int:
        """How many points of the generation (the active one when None) are inside the scope."""
        ...

    async def aclose(self) -> None:
        """Let go of files and connections. Safe to call twice."""
        ...
