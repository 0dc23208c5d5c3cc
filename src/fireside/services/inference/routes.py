"""`/api/v1/models`: the models that the caller may use."""

from typing import Any

from fastapi import APIRouter, Request

from fireside.contracts.base import Nothing
from fireside.contracts.inference import MODELS
from fireside.contracts.permissions import route_access
from fireside.runtime.context import Context


def routes() -> APIRouter:
    """The routes of models."""
    routes = APIRouter(prefix="/api/v1/models", tags=["Models"])

    @routes.get("", openapi_extra=route_access(MODELS.access))
    async def list_models(request: Request) -> dict[str, Any]:
        """Every model, in order of preference."""
        context: Context = request.state.context
        models = await context.call(MODELS, Nothing())
        return {"items": [model.model_dump(mode="json") for model in models.items], "next_cursor": None}

    return routes
