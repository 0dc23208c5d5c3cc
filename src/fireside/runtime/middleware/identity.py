"""Checks on the serving node that whoever asks may do so, for every call, local or from afar."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, ClassVar

from fireside.contracts.base import INTERNAL, PUBLIC, SIGNED_IN
from fireside.core.errors import ForbiddenError, UnauthenticatedError
from fireside.core.identity import Identity
from fireside.runtime.context import Context
from fireside.runtime.middleware.base import Handler, Middleware, Place, StreamHandler, Target


class IdentityMiddleware(Middleware):
    """Refuses callers that an action's `access` does not admit; public actions are left alone."""

    places: ClassVar = frozenset({Place.LOCAL, Place.SERVE})

    def wrap(self, target: Target, handler: Handler) -> Handler:
        """Check before the handler runs."""
        if target.action.access == PUBLIC:
            return handler
        require = requirement_of(target.action.access)

        def checked(context: Context, request: Any) -> Awaitable[Any]:
            require(context.identity)
            return handler(context, request)

        return checked

    def wrap_stream(self, target: Target, handler: StreamHandler) -> StreamHandler:
        """Check before the stream begins."""
        if target.action.access == PUBLIC:
            return handler
        require = requirement_of(target.action.access)

        def checked(context: Context, request: Any) -> AsyncGenerator[Any, None]:
            require(context.identity)
            return handler(context, request)

        return checked


def requirement_of(access: str) -> Callable[[Identity], None]:
    """The check that an access asks for; it raises UnauthenticatedError or ForbiddenError."""
    if access == SIGNED_IN:
        return _require_signed_in
    if access == INTERNAL:
        return _require_service
    return lambda identity: identity.require(access)


def _require_signed_in(identity: Identity) -> None:
    if identity.kind == "anonymous":
        raise UnauthenticatedError("sign in first")


def _require_service(identity: Identity) -> None:
    if identity.kind == "anonymous":
        raise UnauthenticatedError("only parts of Fireside may call this")
    if not identity.is_service:
        raise ForbiddenError("only parts of Fireside may call this")
