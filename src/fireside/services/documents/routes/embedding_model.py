"""`/api/v1/admin/embedding-model`."""

from fastapi import APIRouter, Request

from fireside.contracts import embedding_models
from fireside.contracts.base import Nothing
from fireside.services.documents.routes.caller import access_of, caller


def routes() -> APIRouter:
    """The routes of the embedding model."""
    routes = APIRouter(prefix="/admin/embedding-model", tags=["Embedding model"])
    routes.get("", openapi_extra=access_of(embedding_models.LIST_MODELS))(show_embedding_models)
    routes.post("", status_code=202, openapi_extra=access_of(embedding_models.USE_MODEL))(use_embedding_model)
    return routes


async def show_embedding_models(request: Request) -> embedding_models.EmbeddingModelsView:
    """Every embedding model, the one that the knowledge is searched with, and how the last exchange went or goes."""
    return await caller(request).call(embedding_models.LIST_MODELS, Nothing())


async def use_embedding_model(request: Request, body: embedding_models.UseEmbeddingModel) -> embedding_models.MoveBegun:
    """Search with another model: a job embeds everything anew beside the present index, then exchanges the two."""
    return await caller(request).call(embedding_models.USE_MODEL, body)
