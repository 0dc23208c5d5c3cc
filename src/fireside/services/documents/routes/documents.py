"""`/api/v1/documents`."""

from collections.abc import AsyncIterator
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from fireside.contracts import documents
from fireside.core.ids import DocumentId
from fireside.services.documents.routes.caller import CollectionName, Cursor, Limit, access_of, caller
from fireside.services.documents.routes.upload_form import UPLOAD_BODY, sent_files
from fireside.services.documents.settings import DocumentsSettings

_DOWNLOAD_HEADERS = {"x-content-type-options": "nosniff", "content-security-policy": "sandbox; default-src 'none'"}


def routes(settings: DocumentsSettings) -> APIRouter:
    """The routes of documents."""
    routes = APIRouter(prefix="/documents", tags=["Documents"])
    one = "/{document_id}"

    @routes.post("", status_code=202, openapi_extra={**access_of(documents.ADD), **UPLOAD_BODY})
    async def add_documents(request: Request, collection: CollectionName = None) -> documents.AddedDocuments:
        """Add files; they are read by the job that is named in the answer.

        A file under a known path replaces that document, unless it is equal. Of several files those that cannot be
        read become documents that failed, with the reason; when none can be read, nothing is added.
        """
        context = caller(request)
        context.identity.require(documents.ADD.access)
        upload_ids = [
            (
                await context.call(
                    documents.STAGE,
                    documents.StageUpload(path=file.name, media_type=file.media_type, content=file.content),
                )
            ).upload_id
            async for file in sent_files(request, settings)
        ]
        wanted = documents.AddDocuments(uploads=tuple(upload_ids), collection=collection)
        return await context.call(documents.ADD, wanted)

    routes.get("", openapi_extra=access_of(documents.LIST))(list_documents)
    routes.get(one, openapi_extra=access_of(documents.GET))(get_document)
    routes.delete(one, status_code=204, openapi_extra=access_of(documents.DELETE))(delete_document)
    routes.post(f"{one}/reindex", status_code=202, openapi_extra=access_of(documents.REINDEX))(reindex_document)
    routes.get(f"{one}/content", openapi_extra=access_of(documents.CONTENT))(document_content)
    routes.get(f"{one}/chunks", openapi_extra=access_of(documents.CHUNKS))(document_chunks)
    return routes


async def list_documents(
    request: Request,
    collection: CollectionName = None,
    state: documents.DocumentState | None = None,
    query: Annotated[str | None, Query(max_length=200, description="Part of a path or title.")] = None,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> documents.DocumentPage:
    """The documents you may read, newest first."""
    wanted = documents.ListDocuments(collection=collection, state=state, query=query, limit=limit, cursor=cursor)
    return await caller(request).call(documents.LIST, wanted)


async def get_document(request: Request, document_id: DocumentId) -> documents.DocumentView:
    """One document."""
    return await caller(request).call(documents.GET, documents.DocumentRef(document_id=document_id))


async def delete_document(request: Request, document_id: DocumentId) -> Response:
    """Delete a document, its passages and, where no other document has the same bytes, its file."""
    await caller(request).call(documents.DELETE, documents.DocumentRef(document_id=document_id))
    return Response(status_code=204)


async def reindex_document(request: Request, document_id: DocumentId) -> documents.AddedDocuments:
    """Read a document anew, for example after a failure."""
    return await caller(request).call(documents.REINDEX, documents.DocumentRef(document_id=document_id))


async def document_content(
    request: Request,
    document_id: DocumentId,
    download: Annotated[bool, Query(description="The file as it was uploaded, instead of its text.")] = False,
) -> Response:
    """The text of a document, in which its passages are ranges; or its file."""
    wanted = documents.DocumentRef(document_id=document_id)
    if download:
        return await _file(caller(request).stream(documents.DOWNLOAD, wanted))
    content = await caller(request).call(documents.CONTENT, wanted)
    return JSONResponse(content.model_dump(mode="json"))


async def document_chunks(
    request: Request, document_id: DocumentId, limit: Limit = 20, cursor: Cursor = None
) -> documents.ChunkPage:
    """The passages of a document, in order."""
    wanted = documents.ListChunks(document_id=document_id, limit=limit, cursor=cursor)
    return await caller(request).call(documents.CHUNKS, wanted)


async def _file(pieces: AsyncIterator[documents.FilePiece]) -> Response:
    """A download: never shown by the browser as a page of this site, whatever it holds."""
    first = await anext(pieces)

    async def body() -> AsyncIterator[bytes]:
        async for piece in pieces:
            yield piece.data

    headers = {
        **_DOWNLOAD_HEADERS,
        "content-disposition": f"attachment; filename*=UTF-8''{quote(first.file_name, safe='')}",
        "content-length": str(first.size_bytes),
    }
    return StreamingResponse(body(), 200, headers, first.media_type)
