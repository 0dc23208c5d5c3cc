"""Holds every route to the access it declares, before its input is looked at; one that declares none admits nobody.

The services check again: this keeps strangers from learning from complaints about their input, and makes forgetting to
declare something that is noticed at the first try.
"""

from typing import Any

from starlette.requests import HTTPConnection

from fireside.contracts.base import INTERNAL, PUBLIC
from fireside.contracts.permissions import ACCESS_FIELD
from fireside.core.errors import ForbiddenError
from fireside.core.identity import Identity
from fireside.runtime.middleware.identity import requirement_of


class UndeclaredAccessError(ForbiddenError):
    """The route does not say who may call it, so nobody may."""

    code = "undeclared_access"


async def require_declared_access(connection: HTTPConnection) -> None:
    """Pass when the route's declared access admits the caller. A dependency of the whole application.

    Raises:
        UndeclaredAccessError: The route declares nothing that is meant for callers from outside.
        UnauthenticatedError: It needs someone who is signed in.
        ForbiddenError: It needs a permission that the caller lacks.
    """
    if connection.scope["type"] != "http":
        return  # sockets declare nothing: the guard lets none in that is nobody's
    declared: dict[str, Any] = getattr(connection.scope.get("route"), "openapi_extra", None) or {}
    access = declared.get(ACCESS_FIELD, INTERNAL)
    if access == INTERNAL:
        raise UndeclaredAccessError
    if access != PUBLIC:
        identity: Identity = connection.scope["state"]["context"].identity
        requirement_of(access)(identity)
