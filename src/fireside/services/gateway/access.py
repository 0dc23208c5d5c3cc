"""Holds every route to the access it declares, before its input is looked at; one that declares none admits nobody.

The services check again: this keeps strangers from learning from complaints about their input, and makes forgetting to
declare something that is noticed at the first try.
"""

from collections.abc import Callable, Mapping
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


Requirement = Callable[[Identity], None]


async def require_declared_access(connection: HTTPConnection) -> None:
    """Pass when the route's declared access admits the caller. A dependency of the whole application.

    Raises:
        UndeclaredAccessError: The route declares nothing that is meant for callers from outside.
        UnauthenticatedError: It needs someone who is signed in.
        ForbiddenError: It needs a permission that the caller lacks.
    """
    if connection.scope["type"] != "http":
        return  # sockets declare nothing: the guard lets none in that is nobody's
    declared = getattr(connection.scope.get("route"), "openapi_extra", None)
    declared_requirement(declared)(connection.scope["state"]["context"].identity)


def declared_requirement(declared: Mapping[str, Any] | None) -> Requirement:
    """The check that a route's declared access asks for; it raises as `require_declared_access` does."""
    access = (declared or {}).get(ACCESS_FIELD, INTERNAL)
    if access == INTERNAL:
        return _refuse_everybody
    return _admit_everybody if access == PUBLIC else requirement_of(access)


def _refuse_everybody(_identity: Identity) -> None:
    raise UndeclaredAccessError


def _admit_everybody(_identity: Identity) -> None:
    pass
