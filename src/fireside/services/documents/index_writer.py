"""Putting passages into the search index: their windows embedded, in every generation that is or will be searched."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

from fireside.contracts import embeddings, vectors
from fireside.contracts.base import Nothing
from fireside.core.errors import UnavailableError
from fireside.runtime.context import Context

_FLOAT_BYTES = 4


class EmbeddingModelChangedError(UnavailableError):
    """The embedding model was exchanged while passages were being embedded; trying again uses the new one."""

    code = "embedding_model_changed"


@dataclass(frozen=True, slots=True)
class Entry:
    """A passage as the index wants it: `index_text` is searched by words, `windows` are embedded."""

    chunk_id: UUID
    document_id: UUID
    collection_id: UUID
    index_text: str
    windows: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Generations:
    """Where passages are written: the generation of the embedding model, and the one searched in its place, if any."""

    model: embeddings.EmbeddingModel
    outgoing: str | None


async def find_generations(context: Context) -> Generations:
    """The generations of the index to write to; that of the embedding model is made when it is not there.

    Raises:
        UnavailableError: The embedding model or the index is not available.
    """
    model = await context.call(embeddings.MODEL, Nothing())
    index = await context.call(vectors.GENERATIONS, Nothing())
    if model.index_name not in index.generations:
        wanted = vectors.PrepareGeneration(generation=model.index_name, dimensions=model.dimensions)
        index = await context.call(vectors.PREPARE, wanted)
    return Generations(model, None if index.active == model.index_name else index.active)


async def write_entries(context: Context, entries: Sequence[Entry], generations: Generations) -> None:
    """Embed passages and put them into the index. Doing it again changes nothing.

    While another generation is still searched, they enter that one too, to be found there by their words.

    Raises:
        UnavailableError: The embedding model or the index is not available.
    """
    texts = tuple(window for entry in entries for window in entry.windows)
    embedded = await context.call(embeddings.EMBED, embeddings.EmbedTexts(texts=texts))
    if embedded.model != generations.model.name:
        raise EmbeddingModelChangedError(before=generations.model.name, now=embedded.model)
    rows = _rows(entries, embedded)
    with_vectors = tuple(_chunk(entry, row) for entry, row in zip(entries, rows, strict=True))
    await context.call(
        vectors.UPSERT, vectors.UpsertChunks(chunks=with_vectors, generation=generations.model.index_name)
    )
    if generations.outgoing is not None:
        words_only = tuple(_chunk(entry, b"") for entry in entries)
        await context.call(vectors.UPSERT, vectors.UpsertChunks(chunks=words_only, generation=generations.outgoing))


def _rows(entries: Sequence[Entry], embedded: embeddings.Embeddings) -> Iterator[bytes]:
    """The vectors of each entry's windows."""
    place, width = 0, embedded.dimensions * _FLOAT_BYTES
    for entry in entries:
        end = place + len(entry.windows) * width
        yield embedded.vectors[place:end]
        place = end


def _chunk(entry: Entry, rows: bytes) -> vectors.IndexedChunk:
    return vectors.IndexedChunk(
        chunk_id=entry.chunk_id,
        document_id=entry.document_id,
        collection_id=entry.collection_id,
        text=entry.index_text,
        vectors=rows,
    )
