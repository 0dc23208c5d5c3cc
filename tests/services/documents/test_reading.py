"""Looking at documents: lists, text, passages, files; and what lies on the disk."""

from pathlib import Path

import pytest

from fireside.contracts import documents
from fireside.core.ids import new_id
from fireside.runtime.durable import Database
from fireside.services.documents.errors import DocumentNotFoundError, DocumentNotReadyError, InvalidCursorError
from tests.databases import on_both_databases
from tests.services.documents.conftest import MIGRATIONS, Knowledge, running_knowledge

PAGE = "# Leave\n\nEveryone gets thirty days.\n\n## Sick leave\n\n- Call\n- Rest\n"
PHRASE = "the unmistakable phrase of a secret document"


def ref(document: documents.DocumentView) -> documents.DocumentRef:
    return documents.DocumentRef(document_id=document.id)


@on_both_databases
async def test_the_text_of_a_document_comes_with_its_blocks(knowledge: Knowledge) -> None:
    (document,) = await knowledge.ingest(knowledge.editor, {"hr/leave.md": PAGE})

    content = await knowledge.user.call(documents.CONTENT, ref(document))

    assert (content.path, content.title, content.media_type) == ("hr/leave.md", "Leave", "text/markdown")
    assert content.text == "Leave\n\nEveryone gets thirty days.\n\nSick leave\n\n- Call\n- Rest"
    assert [(content.text[block.start : block.end], block.kind, block.level) for block in content.blocks] == [
        ("Leave", "heading", 1),
        ("Everyone gets thirty days.", "paragraph", 0),
        ("Sick leave", "heading", 2),
        ("- Call\n- Rest", "list", 0),
    ]


@on_both_databases
async def test_passages_are_listed_in_order_page_by_page(knowledge: Knowledge) -> None:
    text = "\n\n".join(f"## Part {number}\n\nWords of part {number}." for number in range(7))
    (document,) = await knowledge.ingest(knowledge.editor, {"a.md": text})

    seen: list[documents.ChunkView] = []
    cursor: str | None = None
    while True:
        wanted = documents.ListChunks(document_id=document.id, limit=3, cursor=cursor)
        page = await knowledge.user.call(documents.CHUNKS, wanted)
        seen += page.items
        cursor = page.next_cursor
        if cursor is None:
            break

    content = await knowledge.user.call(documents.CONTENT, ref(document))
    assert [chunk.ordinal for chunk in seen] == list(range(document.chunk_count))
    assert len({chunk.chunk_id for chunk in seen}) == document.chunk_count
    assert all(content.text[chunk.start : chunk.end] == chunk.text for chunk in seen)


async def test_a_file_comes_back_as_it_was_uploaded(knowledge: Knowledge) -> None:
    data = ("Grüße\r\n" * 300_000).encode("cp1252")
    (document,) = await knowledge.ingest(knowledge.editor, {"docs/Grüße.txt": data})

    first, *rest = [piece async for piece in knowledge.user.stream(documents.DOWNLOAD, ref(document))]

    assert (first.file_name, first.media_type, first.size_bytes) == ("Grüße.txt", "text/plain", len(data))
    assert b"".join(piece.data for piece in rest) == data


async def test_a_document_that_was_not_read_has_no_text_but_its_file(knowledge: Knowledge) -> None:
    (failed,) = await knowledge.ingest(knowledge.editor, {"a.txt": b"CRASH"})

    with pytest.raises(DocumentNotReadyError, match="broke its reader"):
        await knowledge.user.call(documents.CONTENT, ref(failed))
    assert [piece.data async for piece in knowledge.user.stream(documents.DOWNLOAD, ref(failed))][1:] == [b"CRASH"]
    chunks = await knowledge.user.call(documents.CHUNKS, documents.ListChunks(document_id=failed.id))
    assert chunks.items == ()


async def test_a_refused_document_has_no_file(knowledge: Knowledge) -> None:
    _, refused = await knowledge.ingest(knowledge.editor, {"a.txt": "x", "film.mp4": b"x"})

    with pytest.raises(DocumentNotReadyError):
        [piece async for piece in knowledge.user.stream(documents.DOWNLOAD, ref(refused))]


@on_both_databases
async def test_documents_are_listed_newest_first_page_by_page(knowledge: Knowledge) -> None:
    for number in range(5):
        await knowledge.ingest(knowledge.editor, {f"{number}.md": f"# Page {number}\n\nx"})

    seen: list[str] = []
    cursor: str | None = None
    while True:
        page = await knowledge.page(knowledge.user, limit=2, cursor=cursor)
        seen += [item.path for item in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break

    assert seen == [f"{number}.md" for number in reversed(range(5))]


@on_both_databases
async def test_lists_can_be_narrowed(knowledge: Knowledge) -> None:
    await knowledge.ingest(knowledge.editor, {"hr/leave.md": PAGE, "hr/50%_off.md": "# Sale\n\nx", "bad.txt": b"CRASH"})
    await knowledge.ingest(knowledge.editor, {"mine.md": PAGE}, collection="personal")

    async def paths(**fields: object) -> set[str]:
        return {item.path for item in (await knowledge.page(knowledge.editor, **fields)).items}

    assert await paths(state="failed") == {"bad.txt"}
    assert await paths(collection="personal") == {"mine.md"}
    assert await paths(query="LEAVE") == {"hr/leave.md", "mine.md"}
    assert await paths(query="sale") == {"hr/50%_off.md"}
    assert await paths(query="50%_") == {"hr/50%_off.md"}
    assert await paths(query="hr/", collection="shared", state="indexed") == {"hr/leave.md", "hr/50%_off.md"}


@pytest.mark.parametrize("cursor", ["x", "####", "", "AAAA", "a" * 300])
async def test_a_cursor_of_nowhere_is_refused(knowledge: Knowledge, cursor: str) -> None:
    (document,) = await knowledge.ingest(knowledge.editor, {"a.md": PAGE})

    with pytest.raises(InvalidCursorError):
        await knowledge.page(knowledge.editor, cursor=cursor)
    with pytest.raises(InvalidCursorError):
        await knowledge.editor.call(documents.CHUNKS, documents.ListChunks(document_id=document.id, cursor=cursor))


async def test_a_document_that_never_was_is_not_found(knowledge: Knowledge) -> None:
    with pytest.raises(DocumentNotFoundError):
        await knowledge.get(knowledge.editor, new_id())


@pytest.mark.requirement("D8")
async def test_nothing_that_a_document_says_can_be_read_on_the_disk(tmp_path: Path) -> None:
    async with running_knowledge(tmp_path) as knowledge:
        await knowledge.ingest(knowledge.editor, {"a.md": f"# Title\n\n{PHRASE}.", "b.txt": f"{PHRASE} " * 500})
        assert set(await knowledge.paths(knowledge.user, PHRASE, limit=100)) == {"a.md", "b.txt"}

    assert phrases_on_disk(tmp_path) == []


def phrases_on_disk(folder: Path) -> list[Path]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) >= 3
    return [path for path in files if PHRASE.encode() in path.read_bytes()]


async def test_the_tables_can_be_taken_back_and_made_again(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/documents.sqlite", service="documents", migrations=MIGRATIONS)
    await database.open()
    await database.downgrade("documents@base")
    await database.close()
    await database.open()
    await database.close()

    async with running_knowledge(tmp_path) as knowledge:
        (document,) = await knowledge.ingest(knowledge.editor, {"a.md": PAGE})
        assert document.state == "indexed"
