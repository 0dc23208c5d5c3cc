"""A documents service on a node of its own, with stand-ins around it."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from fireside.adapters.event_stream.outbox import OutboxEventStream
from fireside.adapters.object_store.folder import FolderObjectStore
from fireside.adapters.secret_box.aes_gcm import AesGcmSecretBox
from fireside.adapters.secret_box.key_ring import KeyRing
from fireside.contracts import documents
from fireside.contracts.jobs import JobView
from fireside.contracts.permissions import ROLES
from fireside.core.clock import SystemClock
from fireside.core.identity import user_identity
from fireside.core.ids import JobId, UserId, new_id
from fireside.ports.document_parser import DocumentParser
from fireside.ports.node_notes import NodeNotes
from fireside.runtime.caching import Cache
from fireside.runtime.context import Context
from fireside.runtime.durable import Database
from fireside.runtime.mesh import Node
from fireside.services.documents import tables
from fireside.services.documents.service import DocumentsService
from fireside.services.documents.settings import DocumentsSettings
from fireside.testing.durable import QUICK, eventually, job_that_ended
from fireside.testing.mesh import local_node
from tests.databases import database_fixture
from tests.services.documents.fakes import FakeEmbeddings, FakeVectors, InProcessParser

MIGRATIONS = Path(tables.__file__).parent / "migrations"
BOX = AesGcmSecretBox(KeyRing(()).with_new_key(now=datetime(2026, 1, 1, tzinfo=UTC)))


@dataclass
class Knowledge:
    """A running documents service and ways to talk to it."""

    node: Node
    service: DocumentsService
    embeddings: FakeEmbeddings
    vectors: FakeVectors
    parser: DocumentParser
    store: FolderObjectStore
    editor: Context = field(init=False)
    user: Context = field(init=False)

    def __post_init__(self) -> None:
        self.editor = self.as_role("editor")
        self.user = self.as_role("user")

    def as_role(self, role: str) -> Context:
        identity = user_identity(UserId(new_id()), roles=[role], permissions=ROLES[role])
        return self.node.context(identity=identity)

    async def stage(self, who: Context, path: str, content: bytes | str, **fields: Any) -> documents.StagedUpload:
        data = content.encode() if isinstance(content, str) else content
        return await who.call(documents.STAGE, documents.StageUpload(path=path, content=data, **fields))

    async def add(
        self, who: Context, files: dict[str, bytes | str], *, collection: str | None = None
    ) -> documents.AddedDocuments:
        uploads = [(await self.stage(who, path, content)).upload_id for path, content in files.items()]
        return await who.call(documents.ADD, documents.AddDocuments(uploads=tuple(uploads), collection=collection))

    async def ended(self, who: Context, job_id: JobId) -> JobView:
        return await job_that_ended(who, "documents", job_id)

    async def ingest(
        self, who: Context, files: dict[str, bytes | str], *, collection: str | None = None
    ) -> list[documents.DocumentView]:
        """Add files and wait until they are read; how the documents are then."""
        added = await self.add(who, files, collection=collection)
        assert (await self.ended(who, added.job_id)).state == "succeeded"
        return [await self.get(who, document.id) for document in added.documents]

    async def get(self, who: Context, document_id: Any) -> documents.DocumentView:
        return await who.call(documents.GET, documents.DocumentRef(document_id=document_id))

    async def delete(self, who: Context, document_id: Any) -> None:
        await who.call(documents.DELETE, documents.DocumentRef(document_id=document_id))

    async def search(self, who: Context, query: str, **fields: Any) -> documents.Passages:
        return await who.call(documents.SEARCH, documents.SearchDocuments(query=query, **fields))

    async def paths(self, who: Context, query: str, **fields: Any) -> list[str]:
        """The documents that a search finds, best first, each once."""
        return list(dict.fromkeys(item.path for item in (await self.search(who, query, **fields)).items))

    async def page(self, who: Context, **fields: Any) -> documents.DocumentPage:
        return await who.call(documents.LIST, documents.ListDocuments(**fields))

    async def objects(self) -> set[str]:
        return {digest async for digest in self.store.digests()}

    async def objects_become(self, count: int) -> None:
        async def look() -> bool | None:
            return True if len(await self.objects()) == count else None

        await eventually(look)

    async def rows(self, table: Any) -> Sequence[Any]:
        async with self.service.database.read() as session:
            return (await session.execute(table.select())).all()

    async def rows_become(self, table: Any, count: int) -> None:
        async def look() -> bool | None:
            return True if len(await self.rows(table)) == count else None

        await eventually(look)


@asynccontextmanager
async def running_knowledge(
    folder: Path,
    *,
    url: str | None = None,
    embeddings: FakeEmbeddings | None = None,
    vectors: FakeVectors | None = None,
    parser: DocumentParser | None = None,
    cache: Cache | None = None,
    notes: NodeNotes | None = None,
    **settings: Any,
) -> AsyncIterator[Knowledge]:
    """A service on this folder; starting it there again goes on with what is there."""
    url = url or f"sqlite:///{folder}/documents.sqlite"
    stream = OutboxEventStream()
    database = Database(url, service="documents", migrations=MIGRATIONS, stream=stream, settings=QUICK)
    store = FolderObjectStore(folder / "objects", box=BOX)
    reading = parser or InProcessParser()
    service = DocumentsService(
        database=database,
        store=store,
        parser=reading,
        box=BOX,
        settings=DocumentsSettings(**{"index_handover_s": 0.05, **settings}),
        clock=SystemClock(),
        cache=cache,
        notes=notes,
    )
    around = embeddings or FakeEmbeddings(), vectors or FakeVectors()
    async with local_node(service, *around) as node:
        yield Knowledge(node, service, *around, reading, store)


database_url = database_fixture("documents", MIGRATIONS)


@pytest.fixture
async def knowledge(tmp_path: Path, database_url: str) -> AsyncIterator[Knowledge]:
    async with running_knowledge(tmp_path, url=database_url) as knowledge:
        yield knowledge
