"""Putting passages into the search index: embedded by each model whose generation is or will be searched."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

import structlog

from fireside.contracts import embeddings, vectors
from fireside.contracts.base import Nothing
from fireside.core.errors import FiresideError
from fireside.ports.vector_index import UnknownGenerationError
from fireside.runtime.context import Context
from fireside.services.documents.errors import EmbeddingModelChangedError

log = structlog.stdlib.get_logger(__name__)

_FLOAT_BYTES = 4


@dataclass(frozen=True, slots=True)
class Entry:
    """A passage as the index wants it: `index_text` is searched by words, `windows` are embedded."""

    chunk_id: UUID
    document_id: UUID
    collection_id: UUID
    index_text: str
    windows: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Target:
    """A generation to write to. Without a model passages enter it to be found by their words.

    Attributes:
        may_fail: Whether the work goes on when this one cannot be written, because it is not searched yet and whoever
            fills it looks for what it lacks.
    """

    generation: str
    model: embeddings.EmbeddingModel | None
    may_fail: bool = False


async def find_targets(context: Context) -> list[Target]:
    """The generations of the index to write to; when no model's is there, that of the default model is made.

    While none is searched, because a process died after it had made the first one, it is made sure that this one is.

    Raises:
        UnavailableError: The embedding models or the index are not available.
    """
    models = await context.call(embeddings.MODELS, Nothing())
    index = await context.call(vectors.GENERATIONS, Nothing())
    if index.active is None or not any(models.of_generation(name) for name in index.generations):
        begun = (models.of_generation(name) for name in index.generations)
        model = next((model for model in begun if model is not None), models.default)
        wanted = vectors.PrepareGeneration(generation=model.index_name, dimensions=model.dimensions)
        index = await context.call(vectors.PREPARE, wanted)
    found = [
        Target(name, models.of_generation(name), may_fail=models.of_generation(index.active) is not None)
        for name in index.generations
        if name != index.active
    ]
    active = [] if index.active is None else [Target(index.active, models.of_generation(index.active))]
    return active + [target for target in found if target.model is not None]


async def write_entries(context: Context, entries: Sequence[Entry], targets: Sequence[Target]) -> None:
    """Embed passages and put them into the index. Doing it again changes nothing.

    A generation that is gone by now is left out, as long as there is another.

    Raises:
        UnavailableError: The embedding model or the index is not available.
        EmbeddingModelChangedError: None of the generations is there any more.
    """
    written = [await _write(context, entries, target) for target in targets]
    if not any(written):
        raise EmbeddingModelChangedError("the generations of the index are gone; trying again writes to the new ones")


async def _write(context: Context, entries: Sequence[Entry], target: Target) -> bool:
    """Write to one generation; says whether they are in it now."""
    try:
        rows = [b""] * len(entries) if target.model is None else await _embed(context, entries, target.model)
        chunks = tuple(_chunk(entry, row) for entry, row in zip(entries, rows, strict=True))
        await context.call(vectors.UPSERT, vectors.UpsertChunks(chunks=chunks, generation=target.generation))
    except FiresideError as error:
        if error.code != UnknownGenerationError.code and not target.may_fail:
            raise
        log.warning("passages_left_out_of_generation", generation=target.generation, code=error.code)
        return False
    return True


async def _embed(context: Context, entries: Sequence[Entry], model: embeddings.EmbeddingModel) -> list[bytes]:
    texts = tuple(window for entry in entries for window in entry.windows)
    embedded = await context.call(embeddings.EMBED, embeddings.EmbedTexts(texts=texts, model=model.name))
    if (embedded.model, embedded.dimensions) != (model.name, model.dimensions):
        raise EmbeddingModelChangedError(before=model.name, now=embedded.model)
    return list(_rows(entries, embedded))


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
