"""The job that makes documents findable: outages, cancelling, progress, many files, another model."""

import asyncio
from pathlib import Path
from uuid import UUID

from sqlalchemy import select, update

from fireside.contracts.jobs import JobRef, jobs_of
from fireside.contracts.vectors import IndexedChunk
from fireside.runtime.durable import Database
from fireside.services.documents.model import SHARED_ID
from fireside.services.documents.tables import chunks, documents
from fireside.testing.durable import eventually
from tests.databases import on_both_databases
from tests.services.documents.conftest import MIGRATIONS, Knowledge, running_knowledge
from tests.services.documents.fakes import FakeEmbeddings, FakeVectors

LEAVE = "# Leave\n\nEveryone gets thirty days of leave."
JOBS = jobs_of("documents")


async def test_an_outage_of_the_embedding_model_is_waited_out(knowledge: Knowledge) -> None:
    knowledge.embeddings.refusals = 4  # fewer than open a breaker, which would stay open for longer than jobs try here

    added = await knowledge.add(knowledge.editor, {"leave.md": LEAVE})

    assert (await knowledge.ended(knowledge.editor, added.job_id)).state == "succeeded"
    assert knowledge.embeddings.refusals == 0
    assert (await knowledge.get(knowledge.editor, added.documents[0].id)).state == "indexed"


async def test_a_missing_reader_is_waited_for_and_not_blamed_on_the_file(knowledge: Knowledge) -> None:
    knowledge.parser.broken = True
    added = await knowledge.add(knowledge.editor, {"leave.md": LEAVE})

    async def tried_again() -> bool | None:
        view = await knowledge.editor.call(JOBS.get, JobRef(id=added.job_id))
        return True if view.attempts >= 1 else None

    await eventually(tried_again)
    knowledge.parser.broken = False

    assert (await knowledge.ended(knowledge.editor, added.job_id)).state == "succeeded"
    assert (await knowledge.get(knowledge.editor, added.documents[0].id)).state == "indexed"


async def test_what_an_older_version_cut_otherwise_is_cut_anew(tmp_path: Path) -> None:
    embeddings, vectors = FakeEmbeddings(), FakeVectors()
    embeddings.gate = asyncio.Event()
    async with running_knowledge(tmp_path, embeddings=embeddings, vectors=vectors) as knowledge:
        added = await knowledge.add(knowledge.editor, {"leave.md": LEAVE})
        await knowledge.rows_become(chunks, 1)
    (old,) = await cut_otherwise(tmp_path, vectors)

    embeddings.gate.set()
    async with running_knowledge(tmp_path, embeddings=embeddings, vectors=vectors) as knowledge:
        assert (await knowledge.ended(knowledge.as_role("admin"), added.job_id)).state == "succeeded"
        (row,) = await knowledge.rows(chunks)

    assert row.id != old
    assert [chunk.chunk_id for chunk in vectors.chunks()] == [row.id]


async def cut_otherwise(folder: Path, vectors: FakeVectors) -> list[UUID]:
    """Change the stored passages as if another version had cut them, and have them in the index already."""
    database = Database(f"sqlite:///{folder}/documents.sqlite", service="documents", migrations=MIGRATIONS)
    await database.open()
    async with database.transaction() as unit:
        await unit.session.execute(update(chunks).values(start=chunks.c.start + 1))
        rows = (await unit.session.execute(select(chunks))).all()
    await database.close()
    for row in rows:
        chunk = IndexedChunk(chunk_id=row.id, document_id=row.document_id, collection_id=SHARED_ID, text="old")
        vectors.generations["model-1"][row.id] = chunk
    return [row.id for row in rows]


async def test_a_cancelled_job_says_so_of_its_documents_and_goes_on_when_tried_again(knowledge: Knowledge) -> None:
    knowledge.embeddings.gate = asyncio.Event()
    added = await knowledge.add(knowledge.editor, {"leave.md": LEAVE})
    await knowledge.rows_become(chunks, 1)

    await knowledge.editor.call(JOBS.cancel, JobRef(id=added.job_id))
    assert (await knowledge.ended(knowledge.editor, added.job_id)).state == "cancelled"

    async def stopped() -> bool | None:
        document = await knowledge.get(knowledge.editor, added.documents[0].id)
        return True if (document.state, document.reason) == ("failed", "indexing was cancelled") else None

    await eventually(stopped)
    knowledge.embeddings.gate.set()
    await knowledge.editor.call(JOBS.retry, JobRef(id=added.job_id))
    assert (await knowledge.ended(knowledge.editor, added.job_id)).state == "succeeded"
    assert (await knowledge.get(knowledge.editor, added.documents[0].id)).state == "indexed"
    assert len(knowledge.vectors.chunks()) == 1


async def test_a_hundred_files_are_read_once_each_in_few_calls(knowledge: Knowledge) -> None:
    files: dict[str, bytes | str] = {f"{number}.md": f"# Page {number}\n\nWords of {number}." for number in range(100)}

    found = await knowledge.ingest(knowledge.editor, files)

    assert {item.state for item in found} == {"indexed"}
    assert sorted(knowledge.parser.parsed) == sorted(files)
    assert len(knowledge.vectors.chunks()) == 100
    assert len(knowledge.embeddings.texts) == 100


async def test_a_large_file_is_embedded_in_slices_with_progress(tmp_path: Path) -> None:
    text = "\n\n".join(f"## Part {number}\n\n" + f"words of part {number} " * 40 for number in range(60))
    async with running_knowledge(tmp_path, index_chunks_at_once=10) as knowledge:
        seen: list[float] = []
        added = await knowledge.add(knowledge.editor, {"large.md": text, "small.md": LEAVE})

        async def done() -> bool | None:
            view = await knowledge.editor.call(JOBS.get, JobRef(id=added.job_id))
            seen.append(view.percent)
            return True if view.state == "succeeded" else None

        await eventually(done)

        document = await knowledge.get(knowledge.editor, added.documents[0].id)
        assert document.chunk_count == 60
        assert len(knowledge.vectors.chunks()) == 61
        assert seen == sorted(seen)
        assert seen[-1] == 100


async def test_passages_that_are_in_the_index_too_early_are_not_found(tmp_path: Path) -> None:
    async with running_knowledge(tmp_path, index_chunks_at_once=1) as knowledge:
        await knowledge.ingest(knowledge.editor, {"leave.md": LEAVE})
        knowledge.embeddings.turns = asyncio.Semaphore(1)
        added = await knowledge.add(knowledge.editor, {"leave.md": "# Leave\n\nNobody.\n\n# Laptops\n\nEverybody."})

        async def half_embedded() -> bool | None:
            return True if len(knowledge.vectors.chunks()) == 2 else None

        await eventually(half_embedded)
        assert await knowledge.paths(knowledge.user, "nobody", mode="keyword") == []
        assert await knowledge.paths(knowledge.user, "thirty", mode="keyword") == ["leave.md"]

        knowledge.embeddings.turns.release()
        await knowledge.ended(knowledge.editor, added.job_id)
        assert await knowledge.paths(knowledge.user, "nobody", mode="keyword") == ["leave.md"]
        assert await knowledge.paths(knowledge.user, "thirty", mode="keyword") == []


async def test_an_interrupted_large_file_goes_on_where_it_stopped(tmp_path: Path) -> None:
    text = "\n\n".join(f"# Part {number}\n\nwords" for number in range(6))
    embeddings, vectors = FakeEmbeddings(), FakeVectors()
    embeddings.turns = asyncio.Semaphore(3)
    async with running_knowledge(tmp_path, embeddings=embeddings, vectors=vectors, index_chunks_at_once=1) as knowledge:
        added = await knowledge.add(knowledge.editor, {"large.md": text})

        async def half_embedded() -> bool | None:
            return True if len(vectors.chunks()) == 3 else None

        await eventually(half_embedded)
        # the third is noted by the time the fourth is asked for
        await eventually(lambda: _noted(knowledge, 3))

    embeddings.turns = None
    async with running_knowledge(tmp_path, embeddings=embeddings, vectors=vectors, index_chunks_at_once=1) as knowledge:
        assert (await knowledge.ended(knowledge.as_role("admin"), added.job_id)).state == "succeeded"
        assert knowledge.parser.parsed == []

    assert len(embeddings.texts) == 6
    assert len(vectors.chunks()) == 6


async def _noted(knowledge: Knowledge, count: int) -> bool | None:
    (row,) = await knowledge.rows(documents)
    return True if row.embedded_chunks == count else None


async def test_two_jobs_over_the_same_documents_make_each_passage_once(knowledge: Knowledge) -> None:
    knowledge.embeddings.gate = asyncio.Event()
    first = await knowledge.add(knowledge.editor, {"a.md": LEAVE})
    second = await knowledge.add(knowledge.editor, {"a.md": LEAVE, "b.md": LEAVE})
    knowledge.embeddings.gate.set()

    for added in (first, second):
        job = await knowledge.ended(knowledge.editor, added.job_id)
        assert job.state == "succeeded"

    await knowledge.rows_become(chunks, 2)
    assert len(knowledge.vectors.chunks()) == 2
    states = {item.path: item.state for item in (await knowledge.page(knowledge.editor)).items}
    assert states == {"a.md": "indexed", "b.md": "indexed"}


@on_both_databases
async def test_another_embedding_model_takes_over_once_everything_is_embedded_with_it(
    tmp_path: Path, database_url: str
) -> None:
    embeddings, vectors = FakeEmbeddings(), FakeVectors()
    async with running_knowledge(tmp_path, url=database_url, embeddings=embeddings, vectors=vectors) as knowledge:
        await knowledge.ingest(knowledge.editor, {f"{number}.md": f"# Page {number}\n\nx" for number in range(25)})
        assert list(vectors.generations) == ["model-1"]

    embeddings.model = "model-2"
    async with running_knowledge(tmp_path, url=database_url, embeddings=embeddings, vectors=vectors) as knowledge:

        async def moved() -> bool | None:
            return True if list(vectors.generations) == ["model-2"] else None

        await eventually(moved)

        assert vectors.active == "model-2"
        assert len(vectors.chunks()) == 25
        assert all(chunk.vectors for chunk in vectors.chunks())
        assert (await knowledge.search(knowledge.user, "page 7")).degraded == ()
        assert "7.md" in await knowledge.paths(knowledge.user, "page 7")


async def test_documents_are_found_in_an_index_whose_maker_died_before_it_was_searched(knowledge: Knowledge) -> None:
    knowledge.vectors.generations["model-1"] = {}

    await knowledge.ingest(knowledge.editor, {"leave.md": LEAVE})

    assert await knowledge.paths(knowledge.user, "leave", mode="keyword") == ["leave.md"]


async def test_a_start_sees_that_the_index_is_searched(tmp_path: Path) -> None:
    vectors = FakeVectors()
    async with running_knowledge(tmp_path, vectors=vectors) as knowledge:
        await knowledge.ingest(knowledge.editor, {"leave.md": LEAVE})

    vectors.active = None
    async with running_knowledge(tmp_path, vectors=vectors) as knowledge:

        async def found() -> bool | None:
            return True if await knowledge.paths(knowledge.user, "leave", mode="keyword") else None

        await eventually(found)


async def test_what_is_added_while_the_model_changes_is_found_before_and_after(knowledge: Knowledge) -> None:
    await knowledge.ingest(knowledge.editor, {"old.md": LEAVE})
    knowledge.embeddings.model = "model-2"

    await knowledge.ingest(knowledge.editor, {"new.md": "# Laptops\n\nAsk the help desk."})

    assert await knowledge.paths(knowledge.user, "laptops") == ["new.md"]
    assert len(knowledge.vectors.chunks("model-1")) == 2
    (in_new,) = knowledge.vectors.chunks("model-2")
    assert in_new.vectors
