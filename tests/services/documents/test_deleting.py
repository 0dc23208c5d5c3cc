"""Deleting documents: at once for people, completely soon after."""

import asyncio
from pathlib import Path

from fireside.contracts import documents
from fireside.contracts.documents import DocumentDeleted, DocumentIndexed
from fireside.runtime.durable import event_log
from fireside.services.documents.tables import chunks, objects, texts
from fireside.services.documents.tables import documents as document_table
from tests.databases import BOTH, database_fixture
from tests.services.documents.conftest import (
    MIGRATIONS,
    Knowledge,
    running_knowledge,
)

database_url = database_fixture("documents", MIGRATIONS, technologies=BOTH)

LEAVE = "# Leave\n\nEveryone gets thirty days of leave.\n\n## Sick leave\n\nTell your manager at once."


async def facts(knowledge: Knowledge) -> list[str]:
    topics = {DocumentIndexed.topic, DocumentDeleted.topic}
    async with knowledge.service.database.read() as session:
        return [entry.topic for entry in await event_log.read(session, after=0, topics=topics)]


async def test_nothing_is_left_of_a_deleted_document(knowledge: Knowledge) -> None:
    (gone, kept) = await knowledge.ingest(knowledge.editor, {"gone.md": LEAVE + " Gone.", "kept.md": LEAVE})
    assert [(item.state, item.reason) for item in (gone, kept)] == [("indexed", None)] * 2

    await knowledge.delete(knowledge.editor, gone.id)

    assert [item.id for item in (await knowledge.page(knowledge.editor)).items] == [kept.id]
    assert await knowledge.paths(knowledge.user, "leave") == ["kept.md"]
    for table, count in ((document_table, 1), (texts, 1), (chunks, 2), (objects, 1)):
        await knowledge.rows_become(table, count)
    assert knowledge.vectors.documents() == {kept.id}
    assert len(await knowledge.objects()) == 1
    assert await facts(knowledge) == ["documents.indexed", "documents.indexed", "documents.deleted"]


async def test_a_deleted_document_is_not_found_even_while_it_is_still_in_the_index(knowledge: Knowledge) -> None:
    (document,) = await knowledge.ingest(knowledge.editor, {"gone.md": LEAVE})
    knowledge.vectors.broken = True

    await knowledge.delete(knowledge.editor, document.id)

    knowledge.vectors.broken = False
    assert await knowledge.paths(knowledge.user, "leave") == []
    await knowledge.rows_become(document_table, 0)
    assert knowledge.vectors.documents() == set()


async def test_a_path_can_be_used_again_after_a_deletion(knowledge: Knowledge) -> None:
    (before,) = await knowledge.ingest(knowledge.editor, {"leave.md": LEAVE})
    await knowledge.delete(knowledge.editor, before.id)

    (after,) = await knowledge.ingest(knowledge.editor, {"leave.md": LEAVE})

    assert after.id != before.id
    assert after.state == "indexed"
    await knowledge.rows_become(document_table, 1)
    assert knowledge.vectors.documents() == {after.id}
    assert [
        piece async for piece in knowledge.user.stream(documents.DOWNLOAD, documents.DocumentRef(document_id=after.id))
    ]


async def test_bytes_that_are_deleted_and_stored_again_at_once_are_there_in_the_end(knowledge: Knowledge) -> None:
    for number in range(10):
        (document,) = await knowledge.ingest(knowledge.editor, {f"{number}.md": LEAVE})
        adding = asyncio.create_task(knowledge.ingest(knowledge.editor, {f"{number}-again.md": LEAVE}))
        await knowledge.delete(knowledge.editor, document.id)
        (again,) = await adding

        pieces = knowledge.user.stream(documents.DOWNLOAD, documents.DocumentRef(document_id=again.id))
        assert b"".join([piece.data async for piece in pieces]) == LEAVE.encode()


async def test_a_document_deleted_while_it_is_read_leaves_nothing(knowledge: Knowledge) -> None:
    knowledge.parser.gate = asyncio.Event()
    added = await knowledge.add(knowledge.editor, {"leave.md": LEAVE})

    await knowledge.delete(knowledge.editor, added.documents[0].id)
    await knowledge.rows_become(document_table, 0)
    knowledge.parser.gate.set()

    job = await knowledge.ended(knowledge.editor, added.job_id)
    assert job.result == {"documents": 0, "indexed": 0, "failed_count": 0, "failed": []}
    assert knowledge.vectors.documents() == set()
    await knowledge.rows_become(chunks, 0)
    await knowledge.objects_become(0)


async def test_a_document_deleted_while_it_is_embedded_leaves_nothing(knowledge: Knowledge) -> None:
    knowledge.embeddings.gate = asyncio.Event()
    added = await knowledge.add(knowledge.editor, {"leave.md": LEAVE})
    await knowledge.rows_become(chunks, 2)

    await knowledge.delete(knowledge.editor, added.documents[0].id)
    await knowledge.rows_become(document_table, 0)
    knowledge.embeddings.gate.set()

    assert (await knowledge.ended(knowledge.editor, added.job_id)).state == "succeeded"
    assert knowledge.vectors.documents() == set()
    await knowledge.rows_become(chunks, 0)
    await knowledge.objects_become(0)


async def test_a_document_changed_while_it_is_embedded_ends_with_the_new_passages_only(knowledge: Knowledge) -> None:
    knowledge.embeddings.gate = asyncio.Event()
    first = await knowledge.add(knowledge.editor, {"leave.md": LEAVE})
    await knowledge.rows_become(chunks, 2)
    second = await knowledge.add(knowledge.editor, {"leave.md": "# Leave\n\nNobody gets holidays."})
    knowledge.embeddings.gate.set()

    for added in (first, second):
        assert (await knowledge.ended(knowledge.editor, added.job_id)).state == "succeeded"

    assert await knowledge.paths(knowledge.user, "manager", mode="keyword") == []
    assert await knowledge.paths(knowledge.user, "holidays", mode="keyword") == ["leave.md"]
    await knowledge.rows_become(chunks, 1)
    await knowledge.rows_become(texts, 1)
    await knowledge.objects_become(1)
    assert len(knowledge.vectors.chunks()) == 1


async def test_bytes_left_by_a_process_that_died_are_erased_at_the_next_start(tmp_path: Path) -> None:
    async with running_knowledge(tmp_path) as knowledge:
        await knowledge.ingest(knowledge.editor, {"kept.md": LEAVE})

        async def orphan():
            yield b"stored, but never noted"

        await knowledge.store.put(orphan())
        assert len(await knowledge.objects()) == 2

    async with running_knowledge(tmp_path, vectors=knowledge.vectors) as knowledge:
        await knowledge.objects_become(1)
        await knowledge.rows_become(objects, 1)
