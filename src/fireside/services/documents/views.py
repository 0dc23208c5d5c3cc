"""How collections, documents and passages are shown."""

from fireside.contracts.collections import CollectionView
from fireside.contracts.documents import ChunkView, DocumentContent, DocumentView, TextBlock
from fireside.ports.document_parser import Block, ParsedDocument
from fireside.services.documents.model import Asker, Collection, Document, StoredChunk
from fireside.services.documents.paths import title_from


def document_view(document: Document) -> DocumentView:
    """A document."""
    return DocumentView(
        id=document.id,
        collection_id=document.collection_id,
        path=document.path,
        title=shown_title(document),
        media_type=document.media_type,
        bytes=document.size_bytes,
        state=document.state,
        reason=document.reason,
        reason_code=document.reason_code,
        source_id=document.source_id,
        url=document.url,
        chunk_count=document.chunk_count,
        created_at=document.created_at,
        updated_at=document.updated_at,
        indexed_at=document.indexed_at,
    )


def shown_title(document: Document) -> str:
    """The document's title; until it was read, one made of its path."""
    return document.title or title_from(document.path)


def content_view(document: Document, parsed: ParsedDocument) -> DocumentContent:
    """What a document says."""
    return DocumentContent(
        document_id=document.id,
        path=document.path,
        title=shown_title(document),
        media_type=document.media_type,
        url=document.url,
        text=parsed.text,
        blocks=tuple(_block_view(block) for block in parsed.blocks),
    )


def _block_view(block: Block) -> TextBlock:
    level = len(block.headings) if block.kind == "heading" else 0
    return TextBlock(start=block.start, end=block.end, kind=block.kind, level=level, page=block.page)


def chunk_view(chunk: StoredChunk) -> ChunkView:
    """A passage."""
    return ChunkView(
        chunk_id=chunk.id,
        document_id=chunk.document_id,
        ordinal=chunk.ordinal,
        start=chunk.start,
        end=chunk.end,
        text=chunk.text,
        heading=chunk.heading,
        page=chunk.page,
    )


def collection_view(collection: Collection, asker: Asker, *, document_count: int) -> CollectionView:
    """A collection as this asker sees it."""
    return CollectionView(
        id=collection.id,
        kind=collection.kind,
        name=collection.name,
        description=collection.description,
        owner_id=collection.owner_id,
        document_count=document_count,
        may_write=collection.is_writable(asker),
        may_manage=collection.is_manageable(asker),
        created_at=collection.created_at,
        updated_at=collection.updated_at,
    )
