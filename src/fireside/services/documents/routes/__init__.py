"""`/api/v1/documents`, `/api/v1/collections`, `/api/v1/search` and `/api/v1/admin/embedding-model`."""

from fastapi import APIRouter

from fireside.services.documents.routes import collections, documents, embedding_model, search
from fireside.services.documents.settings import DocumentsSettings


def routes(settings: DocumentsSettings) -> APIRouter:
    """The routes of knowledge."""
    routes = APIRouter(prefix="/api/v1")
    routes.include_router(documents.routes(settings))
    routes.include_router(collections.routes())
    routes.include_router(search.routes())
    routes.include_router(embedding_model.routes())
    return routes
