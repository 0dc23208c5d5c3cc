"""`/api/v1/admin/config`: the settings of every service, their live values, and the history of those."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request

from fireside.contracts import admin
from fireside.contracts.base import Nothing
from fireside.contracts.permissions import route_access
from fireside.runtime.context import Context


async def context_of(request: Request) -> Context:
    """Who asks."""
    context: Context = request.state.context
    return context


Caller = Annotated[Context, Depends(context_of)]


def routes() -> APIRouter:
    """The routes of the configuration."""
    routes = APIRouter(prefix="/api/v1/admin/config", tags=["Configuration"])
    for method, path, function, called in (
        ("GET", "", show_config, admin.CONFIG),
        ("PATCH", "", change_config, admin.CHANGE_CONFIG),
        ("GET", "/history", config_history, admin.CONFIG_HISTORY),
        ("POST", "/rollback", roll_back_config, admin.ROLL_BACK_CONFIG),
    ):
        extra: dict[str, Any] = route_access(called.access)
        routes.add_api_route(path, function, methods=[method], openapi_extra=extra)
    return routes


async def show_config(caller: Caller) -> admin.ConfigView:
    """Every setting of every service: value, default, source, whether it is live. Secrets are `***`."""
    return await caller.call(admin.CONFIG, Nothing())


async def change_config(caller: Caller, body: admin.ChangeConfig) -> admin.ConfigVersion:
    """Change live settings on all nodes, all or none; `null` takes a live value away."""
    return await caller.call(admin.CHANGE_CONFIG, body)


async def config_history(caller: Caller, query: Annotated[admin.ListVersions, Query()]) -> admin.VersionPage:
    """Every version with author, time and differences, newest first."""
    return await caller.call(admin.CONFIG_HISTORY, query)


async def roll_back_config(caller: Caller, body: admin.RollBackConfig) -> admin.ConfigVersion:
    """Make an earlier version hold again, as a new version; 0 takes every live value away."""
    return await caller.call(admin.ROLL_BACK_CONFIG, body)
