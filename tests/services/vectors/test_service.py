"""The vectors service, over the real index in a temporary folder."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest

from fireside.adapters.vector_index.qdrant_edge import QdrantEdgeIndex
from fireside.contracts import vectors
from fireside.contracts.base import Nothing
from fireside.core.errors import ConflictError, ForbiddenError, InvalidInputError, NotFoundError
from fireside.core.identity import service_identity, user_identity
from fireside.core.ids import UserId, new_id
from fireside.ports.vector_index import IndexUnavailableError
from fireside.runtime.mesh import Context, Node
from fireside.services.vectors.service import VectorsService
from fireside.testing.mesh import local_node

D = 4
MINE, YOURS = UUID(int=1), UUID(int=2)
EVERYTHING = vectors.SearchScope(collection_ids=(MINE, YOURS))


def axis(*axes: int) -> bytes:
    rows = np.zeros((len(axes), D), dtype="<f4")
    rows[range(len(axes)), list(axes)] = 1.0
    return rows.tobytes()


def chunk(number: int, text: str, rows: bytes = b"", *, collection: UUID = MINE) -> vectors.IndexedChunk:
    return vectors.IndexedChunk(
        chunk_id=UUID(int=100 + number),
        document_id=UUID(int=200 + number),
        collection_id=collection,
        text=text,
        vectors=rows,
    )


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    async with local_node(VectorsService(index=QdrantEdgeIndex(tmp_path))) as node:
        yield node


@pytest.fixture
async def context(node: Node) -> Context:
    context = node.context(identity=service_identity("documents"))
    await context.call(vectors.PREPARE, vectors.PrepareGeneration(generation="first", dimensions=D))
    return context


async def add(context: Context, *chunks: vectors.IndexedChunk, generation: str | None = "first") -> None:
    await context.call(vectors.UPSERT, vectors.UpsertChunks(chunks=chunks, generation=generation))


async def find(
    context: Context, text: str = "", vector: bytes = b"", *, generation: str = "first", **scope: tuple[UUID, ...]
) -> dict[int, tuple]:
    where = vectors.SearchScope(**{"collection_ids": (MINE, YOURS), **scope})
    answer = await context.call(
        vectors.SEARCH, vectors.SearchChunks(scope=where, text=text, vector=vector, generation=generation)
    )
    return {item.chunk_id.int - 100: (item.similarity, item.keyword) for item in answer.items}


async def test_chunks_are_found_by_meaning_and_by_words(context: Context) -> None:
    await add(context, chunk(1, "annual leave", axis(0)), chunk(2, "sick days", axis(1)))

    assert await find(context, vector=axis(0)) == {1: (pytest.approx(1.0), 0.0), 2: (pytest.approx(0.0), 0.0)}
    assert set(await find(context, "leaves")) == {1}
    both = await find(context, "sick", axis(0))
    assert both[1] == (pytest.approx(1.0), 0.0)
    assert both[2][1] > 0


async def test_windows_count_half_as_themselves_and_half_as_their_passage(context: Context) -> None:
    await add(context, chunk(1, "text", axis(0, 1, 2)))

    assert (await find(context, vector=axis(1)))[1][0] == pytest.approx(0.5, abs=1e-3)
    assert (await find(context, vector=axis(0)))[1][0] == pytest.approx(0.5, abs=1e-3)


async def test_long_questions_do_not_gain_weight_by_their_length_alone(context: Context) -> None:
    await add(context, *(chunk(n, f"filler{n} text") for n in range(1, 9)), chunk(9, "passport"))

    short = (await find(context, "passport"))[9][1]
    long = (await find(context, "passport zebra violin cloud"))[9][1]

    assert long == pytest.approx(short / 2)


async def test_chunks_outside_the_scope_are_not_found(context: Context) -> None:
    await add(context, chunk(1, "leave", axis(0)), chunk(2, "leave", axis(0), collection=YOURS))

    assert set(await find(context, "leave", axis(0), collection_ids=(MINE,))) == {1}
    assert set(await find(context, "leave", axis(0), document_ids=(UUID(int=202),))) == {2}
    assert await find(context, "leave", axis(0), collection_ids=()) == {}


async def test_chunks_are_deleted_by_id_document_and_collection(context: Context) -> None:
    await add(context, *(chunk(n, "leave") for n in (1, 2, 3)), chunk(4, "leave", collection=YOURS))

    await context.call(vectors.DELETE, vectors.DeleteChunks())
    assert (await context.call(vectors.COUNT, vectors.CountChunks())).count == 4
    await context.call(
        vectors.DELETE,
        vectors.DeleteChunks(chunk_ids=(UUID(int=101),), document_ids=(UUID(int=202),), collection_ids=(YOURS,)),
    )

    assert set(await find(context, "leave")) == {3}
    assert (await context.call(vectors.COUNT, vectors.CountChunks(scope=EVERYTHING))).count == 1


async def test_a_new_generation_is_prepared_filled_and_activated_before_the_old_one_goes(context: Context) -> None:
    await add(context, chunk(1, "old"))
    prepared = await context.call(vectors.PREPARE, vectors.PrepareGeneration(generation="second", dimensions=2))
    assert (prepared.generations, prepared.active) == (("first", "second"), "first")
    await add(context, chunk(2, "new", np.ones(2, dtype="<f4").tobytes()), generation="second")
    assert set(await find(context, "new old")) == {1}
    with pytest.raises(ConflictError):
        await context.call(vectors.DROP, vectors.GenerationName(generation="first"))

    activated = await context.call(vectors.ACTIVATE, vectors.GenerationName(generation="second"))
    dropped = await context.call(vectors.DROP, vectors.GenerationName(generation="first"))

    assert activated.active == "second"
    assert dropped.generations == ("second",)
    assert await context.call(vectors.GENERATIONS, Nothing()) == dropped
    assert set(await find(context, "new old", generation="second")) == {2}


async def test_vectors_of_another_length_are_refused(context: Context) -> None:
    with pytest.raises(InvalidInputError):
        await add(context, chunk(1, "x", b"\0" * 12))
    with pytest.raises(InvalidInputError):
        await find(context, vector=b"\0" * 12)
    with pytest.raises(NotFoundError):
        await add(context, chunk(1, "x"), generation="absent")


async def test_people_cannot_call_it(node: Node) -> None:
    person = node.context(identity=user_identity(UserId(new_id()), roles=["admin"], permissions=["documents:read"]))

    with pytest.raises(ForbiddenError):
        await person.call(vectors.SEARCH, vectors.SearchChunks(scope=EVERYTHING, text="x"))


async def test_health_tells_whether_the_index_answers(tmp_path: Path) -> None:
    service = VectorsService(index=QdrantEdgeIndex(tmp_path))
    await service.open()
    assert (await service.health())["vector index"].status == "ok"

    await service.close()

    check = (await service.health())["vector index"]
    assert (check.status, "closed" in check.detail) == ("failed", True)


async def test_an_index_that_cannot_be_opened_fails_the_start(tmp_path: Path) -> None:
    (tmp_path / "broken" / "shard").mkdir(parents=True)
    service = VectorsService(index=QdrantEdgeIndex(tmp_path))

    with pytest.raises(IndexUnavailableError):
        await service.open()
    await service.close()
