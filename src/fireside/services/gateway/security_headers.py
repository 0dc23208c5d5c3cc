"""Headers on every reply: its request id, and what keeps browsers from doing more with it than they should."""

from collections.abc import Awaitable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fireside.services.gateway.problems import ANTHROPIC_PREFIX

API_POLICY = b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
"""Content security policy of replies that bring none of their own: whatever a browser makes of them, nothing runs."""

_ALWAYS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
)
_POLICY = (b"content-security-policy", API_POLICY)
_HSTS = (b"strict-transport-security", b"max-age=31536000")


class SecurityHeaders:
    """Adds what a reply does not set itself."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Pass the request on, and complete the head of its reply."""
        if scope["type"] != "http":
            return self._app(scope, receive, send)
        given = scope["state"]["request_id"].encode("ascii")
        request_id = (b"x-request-id", given)
        names_it_otherwise = scope["path"].startswith(ANTHROPIC_PREFIX)
        secure = scope["scheme"] == "https"

        def send_complete(message: Message) -> Awaitable[None]:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", ()))
                present = {name for name, _ in headers}
                wanted = (request_id, _POLICY, *_ALWAYS, _HSTS) if secure else (request_id, _POLICY, *_ALWAYS)
                headers.extend(header for header in wanted if header[0] not in present)
                if names_it_otherwise:
                    headers.append((b"request-id", given))
                message["headers"] = headers
            return send(message)

        return self._app(scope, receive, send_complete)
