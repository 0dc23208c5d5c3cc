"""Counts every HTTP request under the template of its route, and how long it took."""

import time
from collections.abc import Awaitable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fireside.runtime.metrics import Metrics

PAGE, NO_ROUTE = "page", "none"
"""What stands for the files of the page, and for requests that reached no route: refused before, or of no address."""
_CLIENT_LEFT = 499
_METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})


class RequestMetrics:
    """Counts what is behind it."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and count it when its reply has ended."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), _CLIENT_LEFT

        def send_counted(message: Message) -> Awaitable[None]:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            return send(message)

        try:
            await self._app(scope, receive, send_counted)
        finally:
            method = scope["method"] if scope["method"] in _METHODS else "other"
            seconds = time.perf_counter() - began
            self._metrics.observe_route(method=method, route=_route(scope), status=status, seconds=seconds)


def _route(scope: Scope) -> str:
    """A template, never the path itself: nobody outside shall make up series."""
    route = scope.get("route")
    if route is None:
        return PAGE if "endpoint" in scope else NO_ROUTE
    return str(route.path)
