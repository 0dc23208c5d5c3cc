"""Knowledge over HTTP."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest
from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from fireside.core.ids import JobId
from fireside.runtime.context import Context
from fireside.services.documents.routes import routes
from fireside.services.documents.settings import DocumentsSettings
from fireside.services.gateway.problems import add_problem_handlers
from tests.adapters.document_parser.office_files import pdf_file
from tests.services.documents.conftest import Knowledge, running_knowledge

NOBODYS_ID = "0192f000-0000-7000-8000-000000000000"
LEAVE = b"# Leave\n\nEveryone gets thirty days of leave."
Files = list[tuple[str, tuple[str, bytes, str]]]


class AsCaller:
    """What the gateway does for every request: says who asks."""

    def __init__(self, app: ASGIApp, context: Context) -> None:
        self._app = app
        self._context = context

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"] = {"context": self._context, "request_id": "test"}
        await self._app(scope, receive, send)


@asynccontextmanager
async def client_of(who: Context, **settings: Any) -> AsyncIterator[httpx.AsyncClient]:
    application = FastAPI()
    application.include_router(routes(DocumentsSettings(**settings)))
    add_problem_handlers(application)
    transport = httpx.ASGITransport(AsCaller(application, who), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test/api/v1") as client:
        yield client


@pytest.fixture
async def editor(knowledge: Knowledge) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(knowledge.editor) as client:
        yield client


@pytest.fixture
async def user(knowledge: Knowledge) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(knowledge.user) as client:
        yield client


def named(*pairs: tuple[str, bytes]) -> Files:
    return [("files", (name, content, "application/octet-stream")) for name, content in pairs]


async def upload(knowledge: Knowledge, client: httpx.AsyncClient, *pairs: tuple[str, bytes], **query: str) -> Any:
    """Upload and wait until everything is read; the documents as they were accepted."""
    reply = await client.post("/documents", files=named(*pairs), params=query)
    assert reply.status_code == 202, reply.text
    body = reply.json()
    await knowledge.ended(knowledge.as_role("admin"), JobId(body["job_id"]))
    return body["documents"]


@pytest.mark.requirement("U11")
async def test_an_upload_is_accepted_with_its_documents_and_its_job(
    knowledge: Knowledge, editor: httpx.AsyncClient, user: httpx.AsyncClient
) -> None:
    (accepted,) = await upload(knowledge, editor, ("hr/leave.md", LEAVE))
    assert (accepted["path"], accepted["state"], accepted["bytes"]) == ("hr/leave.md", "pending", len(LEAVE))
    assert accepted["media_type"] == "text/markdown"

    document = (await user.get(f"/documents/{accepted['id']}")).json()

    assert document["state"] == "indexed"
    assert set(document) >= {
        *("id", "path", "title", "media_type", "bytes", "state", "reason", "source_id", "chunk_count"),
        *("created_at", "updated_at", "indexed_at"),
    }
    assert document["created_at"].endswith("Z")


async def test_the_answer_of_a_search_has_the_documented_fields(
    knowledge: Knowledge, editor: httpx.AsyncClient, user: httpx.AsyncClient
) -> None:
    pages = [
        [("Leave", 20), ("", 11), ("Everyone gets thirty days.", 11)],
        [("Asking", 20), ("", 11), ("Ask your manager first, and in good time.", 11)],
    ]
    await upload(knowledge, editor, ("leave.pdf", pdf_file(pages)), ("other.md", b"# Other\n\nNothing here."))

    found = (await user.get("/search", params={"q": "who is asked: the manager", "limit": 1, "mode": "keyword"})).json()

    assert found["degraded"] == []
    (item,) = found["items"]
    assert set(item) >= {
        *("chunk_id", "document_id", "path", "title", "url", "heading", "page", "text", "score", "stages"),
        *("updated_at", "highlights", "start", "end"),
    }
    assert (item["path"], item["page"]) == ("leave.pdf", 2)
    marked = [item["text"][span["start"] : span["end"]] for span in item["highlights"]]
    assert any("manager" in words for words in marked)


async def test_a_search_can_be_narrowed_in_the_address(knowledge: Knowledge, editor: httpx.AsyncClient) -> None:
    await upload(knowledge, editor, ("hr/leave.md", LEAVE), ("it/leave.md", LEAVE + b" It."))
    await upload(knowledge, editor, ("mine.md", LEAVE + b" Mine."), collection="personal")

    async def paths(**query: str) -> set[str]:
        reply = await editor.get("/search", params={"q": "leave", **query})
        return {item["path"] for item in reply.json()["items"]}

    assert await paths() == {"hr/leave.md", "it/leave.md", "mine.md"}
    assert await paths(collection="shared") == {"hr/leave.md", "it/leave.md"}
    assert await paths(path="hr/") == {"hr/leave.md"}


async def test_text_passages_and_file_of_a_document(
    knowledge: Knowledge, editor: httpx.AsyncClient, user: httpx.AsyncClient
) -> None:
    page = b"<h1>Leave</h1><p>Thirty days.</p><script>x</script>"
    (document,) = await upload(knowledge, editor, ("hr/Über.html", page))
    address = f"/documents/{document['id']}"

    content = (await user.get(f"{address}/content")).json()
    assert content["text"] == "Leave\n\nThirty days."
    assert content["media_type"] == "text/html"
    assert [block["kind"] for block in content["blocks"]] == ["heading", "paragraph"]

    chunks = (await user.get(f"{address}/chunks")).json()
    assert chunks["next_cursor"] is None
    assert "Thirty days." in chunks["items"][-1]["text"]

    file = await user.get(f"{address}/content", params={"download": "true"})
    assert file.content == page
    assert file.headers["content-type"].startswith("text/html")
    assert file.headers["content-disposition"] == "attachment; filename*=UTF-8''%C3%9Cber.html"
    assert file.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in file.headers["content-security-policy"]
    assert file.headers["content-length"] == str(len(file.content))


async def test_a_document_can_be_listed_read_anew_and_deleted(knowledge: Knowledge, editor: httpx.AsyncClient) -> None:
    documents = await upload(knowledge, editor, ("a.md", LEAVE), ("b.md", LEAVE + b" B"))
    listed = (await editor.get("/documents", params={"limit": 1})).json()
    assert len(listed["items"]) == 1
    rest = (await editor.get("/documents", params={"cursor": listed["next_cursor"]})).json()
    assert {*[item["id"] for item in listed["items"]], *[item["id"] for item in rest["items"]]} == {
        document["id"] for document in documents
    }
    address = f"/documents/{documents[0]['id']}"

    again = await editor.post(f"{address}/reindex")
    assert again.status_code == 202
    await knowledge.ended(knowledge.as_role("admin"), JobId(again.json()["job_id"]))
    assert (await editor.delete(address)).status_code == 204
    assert (await editor.get(address)).status_code == 404
    assert (await editor.delete(address)).status_code == 404


@pytest.mark.parametrize(
    ("pairs", "status", "code"),
    [
        ([("film.mp4", b"x")], 415, "unsupported_document"),
        ([("blank.md", b"  ")], 422, "empty_document"),
        ([("big.md", b"x" * 2001)], 413, "document_too_large"),
        ([("../a.md", LEAVE)], 422, "invalid_path"),
        ([("a.md", LEAVE), ("/etc/passwd", LEAVE)], 422, "invalid_path"),
    ],
)
async def test_files_that_cannot_be_taken_are_refused_with_their_own_code(
    tmp_path: Path, pairs: list[tuple[str, bytes]], status: int, code: str
) -> None:
    async with running_knowledge(tmp_path, max_file_bytes=2000) as knowledge:
        async with client_of(knowledge.editor, max_file_bytes=2000) as client:
            reply = await client.post("/documents", files=named(*pairs))

        assert (reply.status_code, reply.json()["code"]) == (status, code)
        assert (await knowledge.page(knowledge.editor)).items == ()


async def test_one_bad_file_among_several_becomes_a_failed_document(
    knowledge: Knowledge, editor: httpx.AsyncClient
) -> None:
    documents = await upload(knowledge, editor, ("a.md", LEAVE), ("photo.png", b"\x89PNG"))

    assert [(document["path"], document["state"]) for document in documents] == [
        ("a.md", "pending"),
        ("photo.png", "failed"),
    ]
    assert "cannot be read" in documents[1]["reason"]


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({"json": {"files": []}}, 415),
        ({"content": b"x", "headers": {"content-type": "multipart/form-data"}}, 400),
        ({"content": b"x", "headers": {"content-type": "multipart/form-data; boundary=edge"}}, 400),
        ({"data": {"files": "no file"}, "files": [("other", ("a.md", LEAVE, "text/markdown"))]}, 422),
        ({"files": named(*((f"{number}.md", LEAVE) for number in range(4)))}, 400),
    ],
)
async def test_a_body_that_is_no_upload_is_refused(knowledge: Knowledge, options: dict[str, Any], status: int) -> None:
    async with client_of(knowledge.editor, max_request_files=3) as client:
        reply = await client.post("/documents", **options)

    assert reply.status_code == status
    assert reply.headers["content-type"] == "application/problem+json"


async def test_an_upload_without_the_right_to_is_refused_before_it_is_read(knowledge: Knowledge) -> None:
    async with client_of(knowledge.as_role("viewer")) as client:
        reply = await client.post("/documents", content=b"not even a form")

    assert reply.status_code == 403


class Collected(bytearray):
    """What a payload is written to."""

    async def write(self, data: bytes) -> None:
        self.extend(data)


async def test_names_with_accents_and_folders_arrive_whole_from_another_client(knowledge: Knowledge) -> None:
    form = aiohttp.FormData(quote_fields=False)
    form.add_field("files", LEAVE, filename="hr/Über uns.md")
    payload, body = form(), Collected()
    await payload.write(body)  # type: ignore[arg-type] # all that a payload needs of a writer

    async with client_of(knowledge.editor) as client:
        headers = {"content-type": payload.headers["Content-Type"]}
        reply = await client.post("/documents", content=bytes(body), headers=headers)

    assert reply.json()["documents"][0]["path"] == "hr/Über uns.md"


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("/search?q=", 422),
        ("/search?q=%20%20", 422),
        ("/search", 422),
        ("/search?q=x&mode=magic", 422),
        ("/search?q=x&limit=0", 422),
        ("/search?q=x&limit=101", 422),
        ("/search?q=x&collection=nowhere", 404),
        ("/documents?cursor=nowhere", 422),
        ("/documents?collection=nowhere", 404),
        ("/documents?state=lost", 422),
        ("/documents/not-an-id", 422),
        (f"/documents/{NOBODYS_ID}", 404),
        (f"/documents/{NOBODYS_ID}/content", 404),
        (f"/documents/{NOBODYS_ID}/content?download=true", 404),
        (f"/documents/{NOBODYS_ID}/chunks", 404),
        ("/collections/nowhere", 404),
        ("/collections?cursor=x", 422),
    ],
)
async def test_bad_addresses_are_answered_with_problems(user: httpx.AsyncClient, address: str, status: int) -> None:
    reply = await user.get(address)

    assert reply.status_code == status
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.json()["request_id"] == "test"


async def test_collections_over_http(knowledge: Knowledge, editor: httpx.AsyncClient, user: httpx.AsyncClient) -> None:
    made = await editor.post("/collections", json={"name": "Team", "description": "ours"})
    assert made.status_code == 201
    address, member = f"/collections/{made.json()['id']}", knowledge.user.identity.user_id
    assert (await user.get(address)).status_code == 404

    put = await editor.put(f"{address}/members/{member}", json={"role": "writer"})
    assert (put.status_code, put.json()["role"]) == (200, "writer")
    assert (await user.get(address)).json()["may_write"] is True
    assert [item["user_id"] for item in (await user.get(f"{address}/members")).json()["items"]] == [str(member)]
    patched = await editor.patch(address, json={"name": "The team"})
    assert (patched.json()["name"], patched.json()["description"]) == ("The team", "ours")
    assert [item["name"] for item in (await user.get("/collections")).json()["items"]] == [
        "shared",
        "personal",
        "The team",
    ]
    assert (await user.delete(f"{address}/members/{member}")).status_code == 204
    assert (await user.get(address)).status_code == 404
    assert (await editor.delete(address)).status_code == 204
    assert (await editor.get(address)).status_code == 404


async def test_every_route_says_what_it_needs(knowledge: Knowledge) -> None:
    application = FastAPI()
    application.include_router(routes(DocumentsSettings()))

    document = await asyncio.to_thread(application.openapi)

    operations = [operation for path in document["paths"].values() for operation in path.values()]
    assert len(operations) == 18
    assert all(operation["x-fireside-access"] for operation in operations)
