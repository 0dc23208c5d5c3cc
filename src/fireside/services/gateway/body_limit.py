"""Refuses bodies that are larger than their route takes, before they are read, or while."""

from collections.abc import Awaitable, Sequence

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fireside.core.errors import TooLargeError
from fireside.services.gateway.settings import GatewaySettings


class BodyTooLargeError(TooLargeError):
    """The body of the request is larger than allowed."""

    code = "body_too_large"


class BodyLimit:
    """Counts the bytes of request bodies."""

    def __init__(self, app: ASGIApp, *, settings: GatewaySettings, upload_paths: Sequence[str]) -> None:
        """Prepare.

        Args:
            app: What comes behind.
            settings: How large bodies may be: of strangers, of known callers, and of their uploads.
            upload_paths: Paths that take uploads, exactly as they are.
        """
        self._app = app
        self._settings = settings
        self._upload_paths = frozenset(upload_paths)

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Pass the request on.

        Raises:
            BodyTooLargeError: The body says that it is too large, or turns out to be.
        """
        if scope["type"] != "http":
            return self._app(scope, receive, send)
        most = self._most(scope)
        for name, value in scope["headers"]:
            if name == b"content-length" and (not value.isdigit() or int(value) > most):
                raise BodyTooLargeError(f"a request here has at most {most} bytes", max_bytes=most)
        left, is_whole = most, False

        async def counted() -> Message:
            nonlocal left, is_whole
            message = await receive()
            if message["type"] == "http.request":
                left -= len(message.get("body", b""))
                is_whole = not message.get("more_body", False)
                if left < 0:
                    raise BodyTooLargeError(f"a request here has at most {most} bytes", max_bytes=most)
            return message

        def receive_counted() -> Awaitable[Message]:
            return receive() if is_whole else counted()

        return self._app(scope, receive_counted, send)

    def _most(self, scope: Scope) -> int:
        if scope["state"]["context"].identity.kind == "anonymous":
            return self._settings.max_anonymous_body_bytes
        uploads = scope["path"] in self._upload_paths
        return self._settings.max_upload_bytes if uploads else self._settings.max_body_bytes
