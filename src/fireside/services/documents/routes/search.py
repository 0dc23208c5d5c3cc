"""`/api/v1/search`."""

from typing import Annotated

from fastapi import APIRouter, Query, Request

from fireside.contracts import documents
from fireside.services.documents.routes.caller import Limit, access_of, caller

Words = Annotated[str, Query(max_length=4000, description="What to look for: words or a question.")]
Names = Annotated[
    list[str] | None, Query(max_length=50, description="Only these collections; all you may read when left out.")
]


def routes() -> APIRouter:
    """The route of search."""
    routes = APIRouter(prefix="/search", tags=["Search"])
    routes.get("", openapi_extra=access_of(documents.SEARCH))(search)
    return routes


async def search(
    request: Request,
    q: Words,
    limit: Limit = 20,
    mode: documents.SearchMode = "hybrid",
    collection: Names = None,
    path: Annotated[str | None, Query(max_length=1024, description="Only documents whose path begins so.")] = None,
) -> documents.Passages:
    """The passages that answer a query, best first, among those you may read."""
    wanted = documents.SearchDocuments(query=q, limit=limit, mode=mode, collections=tuple(collection or ()), path=path)
    return await caller(request).call(documents.SEARCH, wanted)
