"""Adding files: what becomes of them."""

import pytest

from fireside.contracts import documents
from fireside.core.errors import ForbiddenError
from fireside.core.ids import new_id
from fireside.ports.document_parser import DocumentTooLargeError, EmptyDocumentError, UnsupportedDocumentError
from fireside.services.documents.errors import (
    CollectionNotFoundError,
    CollectionReadOnlyError,
    InvalidPathError,
    UploadNotFoundError,
)
from fireside.services.documents.tables import chunks, texts, uploads
from tests.databases import on_both_databases
from tests.services.documents.conftest import Knowledge, running_knowledge

LEAVE = "# Leave\n\nEveryone gets thirty days of leave.\n\n## Sick leave\n\nTell your manager at once."


async def test_an_added_file_is_pending_first_and_indexed_when_its_job_has_ended(knowledge: Knowledge) -> None:
    added = await knowledge.add(knowledge.editor, {"hr/leave.md": LEAVE})

    (document,) = added.documents
    assert (document.state, document.path, document.title, document.bytes) == (
        "pending",
        "hr/leave.md",
        "leave",
        len(LEAVE),
    )
    job = await knowledge.ended(knowledge.editor, added.job_id)
    assert (job.state, job.percent) == ("succeeded", 100)
    assert job.result == {"documents": 1, "indexed": 1, "failed_count": 0, "failed": []}
    after = await knowledge.get(knowledge.editor, document.id)
    assert (after.state, after.title, after.chunk_count, after.reason) == ("indexed", "Leave", 2, None)
    assert after.indexed_at is not None
    assert await knowledge.paths(knowledge.user, "sick leave") == ["hr/leave.md"]


async def test_equal_bytes_under_the_same_path_change_nothing(knowledge: Knowledge) -> None:
    (before,) = await knowledge.ingest(knowledge.editor, {"leave.md": LEAVE})
    embedded, passages = len(knowledge.embeddings.texts), {chunk.chunk_id for chunk in knowledge.vectors.chunks()}

    (after,) = await knowledge.ingest(knowledge.editor, {"leave.md": LEAVE})

    assert after == before
    assert len(knowledge.embeddings.texts) == embedded
    assert {chunk.chunk_id for chunk in knowledge.vectors.chunks()} == passages
    assert knowledge.parser.parsed == ["leave.md"]


@on_both_databases
async def test_changed_bytes_under_the_same_path_replace_the_passages(knowledge: Knowledge) -> None:
    (before,) = await knowledge.ingest(knowledge.editor, {"leave.md": LEAVE})
    (after,) = await knowledge.ingest(knowledge.editor, {"leave.md": "# Leave\n\nNobody gets holidays."})

    assert (after.id, after.created_at) == (before.id, before.created_at)
    assert after.updated_at > before.updated_at
    assert after.chunk_count == 1
    assert await knowledge.paths(knowledge.user, "manager", mode="keyword") == []
    assert await knowledge.paths(knowledge.user, "holidays", mode="keyword") == ["leave.md"]
    await knowledge.rows_become(chunks, 1)
    await knowledge.rows_become(texts, 1)
    await knowledge.objects_become(1)
    assert len(knowledge.vectors.chunks()) == 1


async def test_old_passages_are_found_until_the_new_ones_are_ready(knowledge: Knowledge) -> None:
    (before,) = await knowledge.ingest(knowledge.editor, {"leave.md": LEAVE})
    knowledge.embeddings.broken = True

    added = await knowledge.add(knowledge.editor, {"leave.md": "# Leave\n\nNobody gets holidays."})

    assert added.documents[0].state == "pending"
    assert await knowledge.paths(knowledge.user, "manager", mode="keyword") == ["leave.md"]
    content = await knowledge.user.call(documents.CONTENT, documents.DocumentRef(document_id=before.id))
    assert "manager" in content.text
    knowledge.embeddings.broken = False
    assert (await knowledge.ended(knowledge.editor, added.job_id)).state == "succeeded"
    assert await knowledge.paths(knowledge.user, "manager", mode="keyword") == []


async def test_one_file_that_cannot_be_read_does_not_fail_the_others(knowledge: Knowledge) -> None:
    files = {
        "good.md": LEAVE,
        "bad.docx": b"no zip",
        "crash.txt": b"CRASH",
        "bug.txt": b"BUG",
        "scan.html": "<nav>x</nav>",
        "also.txt": "fine",
    }
    added = await knowledge.add(knowledge.editor, files)

    job = await knowledge.ended(knowledge.editor, added.job_id)

    assert job.state == "succeeded"
    assert job.result is not None
    assert (job.result["indexed"], job.result["failed_count"]) == (2, 4)
    assert {(each["path"], each["code"]) for each in job.result["failed"]} == {
        ("bad.docx", "corrupt_document"),
        ("crash.txt", "document_too_complex"),
        ("bug.txt", "internal"),
        ("scan.html", "empty_document"),
    }
    states = {item.path: (item.state, item.reason_code) for item in (await knowledge.page(knowledge.user)).items}
    assert states["good.md"] == ("indexed", None)
    assert states["bad.docx"] == ("failed", "corrupt_document")
    assert "words that must not be shown" not in str(job.result)


async def test_files_that_are_refused_become_failed_documents_beside_others(tmp_path: object) -> None:
    async with running_knowledge(tmp_path, max_file_bytes=1000) as knowledge:  # type: ignore[arg-type] # pytest's path
        files = {"good.md": LEAVE, "film.mp4": b"x", "big.txt": b"x" * 1001, "blank.txt": b" \n"}
        found = await knowledge.ingest(knowledge.editor, files)

        assert [(item.path, item.state, item.reason_code) for item in found] == [
            ("good.md", "indexed", None),
            ("film.mp4", "failed", "unsupported_document"),
            ("big.txt", "failed", "document_too_large"),
            ("blank.txt", "failed", "empty_document"),
        ]
        assert len(await knowledge.objects()) == 1


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        ("film.mp4", b"x", UnsupportedDocumentError),
        ("blank.md", b"  \n", EmptyDocumentError),
        ("big.md", b"x" * 1001, DocumentTooLargeError),
    ],
)
async def test_when_every_file_is_refused_nothing_is_added(
    tmp_path: object, name: str, content: bytes, error: type[Exception]
) -> None:
    async with running_knowledge(tmp_path, max_file_bytes=1000) as knowledge:  # type: ignore[arg-type] # pytest's path
        with pytest.raises(error):
            await knowledge.add(knowledge.editor, {name: content, f"2-{name}": content})

        assert (await knowledge.page(knowledge.editor)).items == ()


async def test_a_file_that_failed_is_read_again_when_it_is_sent_again(knowledge: Knowledge) -> None:
    (before,) = await knowledge.ingest(knowledge.editor, {"a.txt": b"CRASH please"})
    assert before.state == "failed"

    await knowledge.ingest(knowledge.editor, {"a.txt": b"CRASH please"})

    assert knowledge.parser.parsed == ["a.txt", "a.txt"]


@on_both_databases
async def test_a_document_can_be_read_anew(knowledge: Knowledge) -> None:
    (before,) = await knowledge.ingest(knowledge.editor, {"leave.md": LEAVE})

    added = await knowledge.editor.call(documents.REINDEX, documents.DocumentRef(document_id=before.id))
    assert added.documents[0].state == "pending"
    await knowledge.ended(knowledge.editor, added.job_id)

    assert knowledge.parser.parsed == ["leave.md", "leave.md"]
    assert await knowledge.paths(knowledge.user, "sick leave") == ["leave.md"]
    await knowledge.rows_become(chunks, 2)
    assert len(await knowledge.objects()) == 1
    assert len(knowledge.vectors.chunks()) == 2


async def test_a_refused_file_cannot_be_read_anew(knowledge: Knowledge) -> None:
    _, refused = await knowledge.ingest(knowledge.editor, {"a.md": LEAVE, "film.mp4": b"x"})

    added = await knowledge.editor.call(documents.REINDEX, documents.DocumentRef(document_id=refused.id))

    assert added.documents[0] == refused


async def test_a_file_that_is_refused_later_leaves_what_was_found_before(knowledge: Knowledge) -> None:
    (before,) = await knowledge.ingest(knowledge.editor, {"a.md": LEAVE})

    _, after = await knowledge.ingest(knowledge.editor, {"b.md": "# B\n\nx", "a.md": "  "})

    assert (after.id, after.state, after.reason_code) == (before.id, "failed", "empty_document")
    assert await knowledge.paths(knowledge.user, "sick leave") == ["a.md"]
    (again,) = await knowledge.ingest(knowledge.editor, {"a.md": LEAVE})
    assert (again.id, again.state) == (before.id, "indexed")


async def test_a_source_that_renames_a_page_has_it_read_again(knowledge: Knowledge) -> None:
    for title in ("Old name", "Old name", "New name"):
        staged = await knowledge.stage(knowledge.editor, "leave.md", LEAVE, title=title)
        added = await knowledge.editor.call(documents.ADD, documents.AddDocuments(uploads=(staged.upload_id,)))
        await knowledge.ended(knowledge.editor, added.job_id)

    assert (await knowledge.get(knowledge.user, added.documents[0].id)).title == "New name"
    assert len(knowledge.parser.parsed) == 2


async def test_of_two_files_under_one_name_the_last_counts(knowledge: Knowledge) -> None:
    first = await knowledge.stage(knowledge.editor, "a.txt", "first words")
    second = await knowledge.stage(knowledge.editor, "./a.txt", "second words")
    wanted = documents.AddDocuments(uploads=(first.upload_id, second.upload_id))

    added = await knowledge.editor.call(documents.ADD, wanted)
    await knowledge.ended(knowledge.editor, added.job_id)

    assert len(added.documents) == 1
    assert await knowledge.paths(knowledge.user, "second", mode="keyword") == ["a.txt"]
    assert await knowledge.paths(knowledge.user, "first", mode="keyword") == []


async def test_equal_files_under_two_names_share_their_bytes(knowledge: Knowledge) -> None:
    first, second = await knowledge.ingest(knowledge.editor, {"a.md": LEAVE, "b.md": LEAVE})
    assert len(await knowledge.objects()) == 1

    await knowledge.delete(knowledge.editor, first.id)
    await knowledge.rows_become(chunks, 2)

    assert len(await knowledge.objects()) == 1
    assert [
        piece
        async for piece in knowledge.editor.stream(documents.DOWNLOAD, documents.DocumentRef(document_id=second.id))
    ]


async def test_uploads_go_to_shared_for_editors_and_to_personal_for_users(knowledge: Knowledge) -> None:
    (of_editor,) = await knowledge.ingest(knowledge.editor, {"a.md": LEAVE})
    (of_user,) = await knowledge.ingest(knowledge.user, {"b.md": LEAVE})

    assert [item.path for item in (await knowledge.page(knowledge.as_role("viewer"))).items] == ["a.md"]
    assert {item.path for item in (await knowledge.page(knowledge.user)).items} == {"a.md", "b.md"}
    assert of_editor.collection_id != of_user.collection_id


async def test_the_collection_can_be_named(knowledge: Knowledge) -> None:
    (document,) = await knowledge.ingest(knowledge.editor, {"a.md": LEAVE}, collection="personal")

    assert (await knowledge.page(knowledge.user)).items == ()
    assert [item.id for item in (await knowledge.page(knowledge.editor, collection="personal")).items] == [document.id]


async def test_only_those_who_may_write_add_to_shared(knowledge: Knowledge) -> None:
    with pytest.raises(CollectionReadOnlyError):
        await knowledge.add(knowledge.user, {"a.md": LEAVE}, collection="shared")
    with pytest.raises(ForbiddenError):
        await knowledge.add(knowledge.as_role("viewer"), {"a.md": LEAVE})
    with pytest.raises(CollectionNotFoundError):
        await knowledge.add(knowledge.user, {"a.md": LEAVE}, collection="nowhere")


@on_both_databases
async def test_an_upload_is_its_senders_alone_and_used_once(knowledge: Knowledge) -> None:
    staged = await knowledge.stage(knowledge.editor, "a.md", LEAVE)
    wanted = documents.AddDocuments(uploads=(staged.upload_id,))

    with pytest.raises(UploadNotFoundError):
        await knowledge.user.call(documents.ADD, wanted)
    await knowledge.editor.call(documents.ADD, wanted)
    with pytest.raises(UploadNotFoundError):
        await knowledge.editor.call(documents.ADD, wanted)
    with pytest.raises(UploadNotFoundError):
        await knowledge.editor.call(documents.ADD, documents.AddDocuments(uploads=(new_id(),)))


async def test_a_refused_addition_leaves_the_uploads_where_they_are(knowledge: Knowledge) -> None:
    staged = await knowledge.stage(knowledge.user, "a.md", LEAVE)

    with pytest.raises(CollectionReadOnlyError):
        await knowledge.user.call(
            documents.ADD, documents.AddDocuments(uploads=(staged.upload_id,), collection="shared")
        )

    assert (await knowledge.user.call(documents.ADD, documents.AddDocuments(uploads=(staged.upload_id,)))).documents


async def test_uploads_that_are_never_added_are_forgotten(tmp_path: object) -> None:
    async with running_knowledge(tmp_path, upload_ttl_s=0.001) as knowledge:  # type: ignore[arg-type] # pytest's path
        await knowledge.stage(knowledge.editor, "a.md", LEAVE)
    async with running_knowledge(tmp_path, upload_ttl_s=0.001) as knowledge:  # type: ignore[arg-type] # pytest's path
        await knowledge.objects_become(0)
        assert await knowledge.rows(uploads) == []


async def test_sources_may_bring_titles_and_addresses(knowledge: Knowledge) -> None:
    fields = {"title": "The leave page", "url": "https://wiki.example/leave", "source_id": new_id()}
    staged = await knowledge.stage(knowledge.editor, "wiki/leave.md", LEAVE, **fields)
    added = await knowledge.editor.call(documents.ADD, documents.AddDocuments(uploads=(staged.upload_id,)))
    await knowledge.ended(knowledge.editor, added.job_id)

    document = await knowledge.get(knowledge.user, added.documents[0].id)

    assert (document.title, document.url, document.source_id) == tuple(fields.values())
    assert (await knowledge.search(knowledge.user, "leave")).items[0].url == fields["url"]


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("a.md", "a.md"),
        ("docs/hr/a.md", "docs/hr/a.md"),
        ("./docs//./a.md", "docs/a.md"),
        ("docs\\a.md", "docs/a.md"),
        (" a .md", "a .md"),
        ("U\u0308ber.md", "\u00dcber.md"),
    ],
)
async def test_names_with_folders_are_kept_as_paths(knowledge: Knowledge, name: str, kept: str) -> None:
    assert (await knowledge.stage(knowledge.editor, name, LEAVE)).path == kept


@pytest.mark.parametrize(
    "name",
    [
        "",
        "  ",
        "/",
        "./.",
        "/etc/passwd",
        "..",
        "../a.md",
        "docs/../../a.md",
        "docs\\..\\a.md",
        "C:/a.md",
        "c:\\a.md",
        "\\\\host\\a.md",
        "a\x00.md",
        "a\n.md",
        "x" * 1100,
    ],
)
async def test_names_that_point_elsewhere_are_refused(knowledge: Knowledge, name: str) -> None:
    with pytest.raises(InvalidPathError):
        await knowledge.stage(knowledge.editor, name, LEAVE)

    assert await knowledge.objects() == set()
