"""From the bytes of a file to its passages: read, cut, and ready for the index."""

import asyncio
from dataclasses import dataclass, replace

from fireside.core.ids import ChunkId, new_id
from fireside.ports.document_parser import DocumentParser, EmptyDocumentError, ParsedDocument
from fireside.runtime.durable import Database
from fireside.services.documents.chunking import Chunk, split_into_chunks
from fireside.services.documents.index_writer import Entry
from fireside.services.documents.model import Document, StoredChunk
from fireside.services.documents.paths import title_from
from fireside.services.documents.repository.contents import Contents
from fireside.services.documents.settings import DocumentsSettings
from fireside.services.documents.stored_files import StoredFiles


@dataclass(frozen=True, slots=True)
class Prepared:
    """One version of a document, ready for the index.

    Attributes:
        title: Its title, which is part of what is searched.
        is_stored: Whether its text and passages are in the database already.
        stale_ids: Passages of the same version that an earlier process cut otherwise; they may be in the index.
    """

    document: Document
    title: str
    parsed: ParsedDocument
    passages: tuple[StoredChunk, ...]
    chunks: tuple[Chunk, ...]
    is_stored: bool
    stale_ids: tuple[ChunkId, ...] = ()

    def entries(self) -> list[Entry]:
        """What the index wants of the passages that are not yet in it."""
        return [
            Entry(
                chunk_id=passage.id,
                document_id=self.document.id,
                collection_id=self.document.collection_id,
                index_text=chunk.index_text,
                windows=chunk.windows,
            )
            for passage, chunk in zip(self.passages, self.chunks, strict=True)
            if passage.ordinal >= self.document.embedded_chunks
        ]


@dataclass(frozen=True, slots=True)
class Preparing:
    """Reads files and cuts them."""

    database: Database
    contents: Contents
    files: StoredFiles
    parser: DocumentParser
    settings: DocumentsSettings

    async def prepare(self, document: Document, *, was_begun: bool) -> Prepared:
        """Read a document and cut it into passages.

        Args:
            document: What to read.
            was_begun: Whether an earlier process began; what that one stored is used again.

        Raises:
            FiresideError: What is wrong with the file, or what is not available.
        """
        stale_ids: tuple[ChunkId, ...] = ()
        if was_begun:
            stored, stale_ids = await self.find_stored(document)
            if stored is not None:
                return stored
            document = replace(document, embedded_chunks=0)
        parsed = await self.parser.parse(
            await self.files.read(document.digest),
            media_type=document.media_type,
            file_name=document.path,
            limits=self.settings.parse_limits,
        )
        title = document.title or parsed.title or title_from(document.path)
        chunks = await asyncio.to_thread(split_into_chunks, parsed, title=title)
        if not chunks:
            raise EmptyDocumentError("the document has no text")
        passages = tuple(_passage(document, parsed, chunk, ordinal) for ordinal, chunk in enumerate(chunks))
        return Prepared(document, title, parsed, passages, tuple(chunks), is_stored=False, stale_ids=stale_ids)

    async def find_stored(self, document: Document) -> tuple[Prepared | None, tuple[ChunkId, ...]]:
        """A version whose text and passages are stored.

        Returns:
            None when they are not stored or were cut otherwise than today; then with the ids of what is stored.
        """
        async with self.database.read() as session:
            parsed = await self.contents.find_text(session, document.id, document.version)
            passages = await self.contents.passages(session, document.id, document.version)
        if parsed is None:
            return None, ()
        title = document.title or parsed.title or title_from(document.path)
        chunks = await asyncio.to_thread(split_into_chunks, parsed, title=title)
        if [(chunk.start, chunk.end) for chunk in chunks] != [(passage.start, passage.end) for passage in passages]:
            return None, tuple(passage.id for passage in passages)
        return Prepared(document, title, parsed, tuple(passages), tuple(chunks), is_stored=True), ()


def _passage(document: Document, parsed: ParsedDocument, chunk: Chunk, ordinal: int) -> StoredChunk:
    return StoredChunk(
        id=ChunkId(new_id()),
        document_id=document.id,
        version=document.version,
        ordinal=ordinal,
        start=chunk.start,
        end=chunk.end,
        text=parsed.text[chunk.start : chunk.end],
        heading=chunk.heading,
        page=chunk.page,
    )
