"""`/api/v1/documents`, `/api/v1/collections` and `/api/v1/search`."""

from fastapi import APIRouter

from fireside.services.documents.routes import collections, documents, search
from fireside.services.documents.settings import DocumentsSettings


def routes(settings: DocumentsSettings) -> APIRouter:
    """The routes of knowledge."""
    routes = APIRouter(prefix="/api/v1")
    routes.include_router(documents.routes(settings))
    routes.include_router(collections.routes())
    routes.include_router(search.routes())
    return routes
