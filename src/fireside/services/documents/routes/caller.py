"""Who asks, and how a route says what it needs."""

from typing import Annotated, Any

from fastapi import Query, Request

from fireside.contracts.base import Action, StreamAction
from fireside.contracts.permissions import route_access
from fireside.runtime.context import Context

Limit = Annotated[int, Query(ge=1, le=100)]
Cursor = Annotated[str | None, Query(max_length=500)]
CollectionName = Annotated[
    str | None, Query(max_length=200, description="`shared`, `personal`, or the name or id of another collection.")
]


def caller(request: Request) -> Context:
    """Who asks, as the gateway established."""
    context: Context = request.state.context
    return context


def access_of(action: Action[Any, Any] | StreamAction[Any, Any]) -> dict[str, Any]:
    """What the route of an action declares."""
    return route_access(action.access)
