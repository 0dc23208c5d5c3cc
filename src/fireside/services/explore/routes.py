"""`/api/v1/models`: the models here, those that can be installed, and managing both."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from fireside.contracts import explore, inference
from fireside.contracts.base import Action
from fireside.contracts.permissions import route_access
from fireside.core.ids import JobId
from fireside.runtime.context import Context

Name = Annotated[str, Path(max_length=100)]
Limit = Annotated[int, Query(ge=1, le=100)]
Cursor = Annotated[str | None, Query(max_length=500)]
Word = Annotated[str | None, Query(max_length=100)]


class ModelChanges(BaseModel):
    """What to change about a model; what is left out stays. No roles open it to everybody; `run` is replaced whole."""

    enabled: bool | None = None
    tags: list[Annotated[str, Field(min_length=1, max_length=50)]] | None = Field(default=None, max_length=50)
    roles: list[Annotated[str, Field(min_length=1, max_length=100)]] | None = Field(default=None, max_length=50)
    is_default: bool | None = None
    run: explore.RunOptions | None = None


class SecondName(BaseModel):
    """A further name."""

    to: str = Field(pattern=explore.NAME_PATTERN)


def routes() -> APIRouter:
    """The routes of models."""
    routes = APIRouter(prefix="/api/v1/models", tags=["Models"])
    routes.get("", openapi_extra=_access(explore.LIST))(list_models)
    routes.get("/catalog", openapi_extra=_access(explore.CATALOGUE))(search_catalogue)
    routes.post("/install", status_code=202, openapi_extra=_access(explore.INSTALL))(install_model)
    routes.post("/install/{install_id}/pause", status_code=204, openapi_extra=_access(explore.PAUSE))(pause_install)
    routes.post("/install/{install_id}/resume", status_code=204, openapi_extra=_access(explore.RESUME))(resume_install)
    routes.patch("/{name:path}", openapi_extra=_access(explore.CHANGE))(change_model)
    routes.post("/{name:path}/copy", status_code=201, openapi_extra=_access(explore.COPY))(copy_model)
    routes.post("/{name:path}/load", openapi_extra=_access(inference.LOAD))(load_model)
    routes.post("/{name:path}/unload", openapi_extra=_access(inference.UNLOAD))(unload_model)
    routes.delete("/{name:path}", status_code=204, openapi_extra=_access(explore.REMOVE))(remove_model)
    return routes


def _access(action: Action[Any, Any]) -> dict[str, Any]:
    return route_access(action.access)


def _caller(request: Request) -> Context:
    context: Context = request.state.context
    return context


async def list_models(
    request: Request,
    family: Word = None,
    tag: Word = None,
    everything: bool = False,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> explore.ModelPage:
    """The models here that you may use, by name; `everything`, for managers, shows the others too."""
    wish = explore.ListModels(family=family, tag=tag, everything=everything, limit=limit, cursor=cursor)
    return await _caller(request).call(explore.LIST, wish)


async def search_catalogue(
    request: Request, wish: Annotated[explore.SearchCatalogue, Query()]
) -> explore.CataloguePage:
    """What can be installed, and whether it fits this machine."""
    return await _caller(request).call(explore.CATALOGUE, wish)


async def install_model(request: Request, body: explore.InstallModel) -> explore.InstallStarted:
    """Install a model: a name of the catalogue, or `hf:`, `ollama:`, `https:`, `file:`, `pypi:`. Follow the job."""
    return await _caller(request).call(explore.INSTALL, body)


async def pause_install(request: Request, install_id: JobId) -> Response:
    """Have an installation, named by its job, wait. To end it, cancel the job."""
    await _caller(request).call(explore.PAUSE, explore.InstallRef(job_id=install_id))
    return Response(status_code=204)


async def resume_install(request: Request, install_id: JobId) -> Response:
    """Have an installation go on."""
    await _caller(request).call(explore.RESUME, explore.InstallRef(job_id=install_id))
    return Response(status_code=204)


async def change_model(request: Request, name: Name, body: ModelChanges) -> explore.ModelView:
    """Change a model's tags, who may use it, whether it is the default, and how it is run."""
    return await _caller(request).call(explore.CHANGE, explore.ChangeModel(name=name, **body.model_dump()))


async def copy_model(request: Request, name: Name, body: SecondName) -> explore.ModelView:
    """Give an installed model a further name."""
    return await _caller(request).call(explore.COPY, explore.CopyModel(name=name, to=body.to))


async def remove_model(request: Request, name: Name) -> Response:
    """Remove an installed model; its file goes with its last name."""
    await _caller(request).call(explore.REMOVE, explore.ModelRef(name=name))
    return Response(status_code=204)


async def load_model(request: Request, name: Name) -> inference.ModelProfile:
    """Begin to load a model; its state tells when it can answer."""
    return await _caller(request).call(inference.LOAD, inference.LoadModel(name=name))


async def unload_model(request: Request, name: Name) -> inference.ModelProfile:
    """Give back the memory of a model that nobody uses at the moment."""
    return await _caller(request).call(inference.UNLOAD, inference.LoadModel(name=name))
