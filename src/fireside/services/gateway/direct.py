"""The short way to routes whose handlers take a request and return a reply: none of the framework's machinery.

Such a route is declared as any other, so that the OpenAPI document, and what is generated from it, knows it; requests
reach its handler past routing, dependencies and validation, which do nothing for it and cost more than all the rest.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from inspect import signature
from types import CoroutineType
from typing import Any, cast

from fastapi import FastAPI, Request
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import Receive, Scope, Send

from fireside.core.errors import FiresideError
from fireside.services.gateway.access import Requirement, declared_requirement
from fireside.services.gateway.leaving import ClientLeftError
from fireside.services.gateway.problems import render

DirectHandler = Callable[[Request], Awaitable[Response]]


class DirectRequest(Request):
    """A request whose body is read without the framework's detour."""

    async def body(self) -> bytes:
        """All of it.

        Raises:
            ClientDisconnect: The client left before it was there.
        """
        if not hasattr(self, "_body"):
            pieces, more = list[bytes](), True
            while more:
                message = await self.receive()
                if message["type"] != "http.request":
                    raise ClientDisconnect
                pieces.append(message.get("body", b""))
                more = message.get("more_body", False)
            self._body = b"".join(pieces)
        return self._body


class DirectRoute:
    """Holds a request to the declared access and hands it to the handler."""

    def __init__(self, route: APIRoute) -> None:
        self.require: Requirement = declared_requirement(route.openapi_extra)
        self._route, self._handler = route, cast("DirectHandler", route.endpoint)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer. A reply raises no FiresideError once it has begun."""
        request = DirectRequest(scope, receive, send)
        scope["route"] = self._route
        try:
            self.require(scope["state"]["context"].identity)
            reply = await self._handler(request)
            await reply(scope, receive, send)
        except ClientLeftError:
            return
        except FiresideError as error:
            await render(request, error)(scope, receive, send)


class DirectApplication(FastAPI):
    """An application that goes the short way where there is one."""

    def __init__(self, *, direct: Iterable[BaseRoute], **options: Any) -> None:
        """Make the application.

        Args:
            direct: Among these routes, those that need no more are reached the short way; include them as well.
            options: FastAPI's.
        """
        super().__init__(**options)
        self._direct = direct_routes(direct)

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> "CoroutineType[Any, Any, None]":
        """Answer a request."""
        route = self._direct.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        return (route or super().__call__)(scope, receive, send)


def direct_routes(routes: Iterable[BaseRoute]) -> Mapping[tuple[str, str], DirectRoute]:
    """By method and path, the routes that need nothing but their request and write their replies themselves."""
    found: dict[tuple[str, str], DirectRoute] = {}
    for route in routes:
        if isinstance(route, APIRoute) and _is_direct(route):
            direct = DirectRoute(route)
            found.update({(method, route.path): direct for method in route.methods or ()})
    return found


def _is_direct(route: APIRoute) -> bool:
    declared = signature(route.endpoint)
    takes = [parameter.annotation for parameter in declared.parameters.values()]
    gives = declared.return_annotation
    return takes == [Request] and isinstance(gives, type) and issubclass(gives, Response)
