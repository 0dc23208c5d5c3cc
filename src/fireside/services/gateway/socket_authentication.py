"""Who is asking over a WebSocket, from its first moment to its last.

A socket brings its credential as a header, as the subprotocols `bearer` and the credential itself, or in its first
message, `{"type": "authenticate", "token": "..."}`, which is answered by `{"type": "authenticated"}`. The route behind
sees none of this. The socket is closed as soon as the rights of its user change, and at the first message after its
credential has ceased to work.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import closing
from typing import Any, cast

import orjson
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fireside.core.errors import FiresideError, UnauthenticatedError
from fireside.services.gateway.authentication import Doorkeeper
from fireside.services.gateway.credentials import (
    BEARER_SUBPROTOCOL,
    MAX_CREDENTIAL_CHARS,
    MalformedCredentialError,
    credential_in,
)
from fireside.services.gateway.identities import Watch
from fireside.services.gateway.rate_limits import RateLimiter

_EXPECTED = 'the first message has to be {"type": "authenticate", "token": "..."}'
_CLOSE_CODES = 4_000
"""Close codes from here on are for applications; the HTTP status that fits is added (4401, 4429)."""


_DISCONNECT = "websocket.disconnect"


class SocketAuthentication:
    """Puts what `Authentication` does into the state of every WebSocket, and closes those that lose their right."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        doorkeeper: Doorkeeper,
        limiter: RateLimiter,
        first_message_s: float,
    ) -> None:
        """Prepare.

        Args:
            app: What comes behind.
            doorkeeper: Lets credentials in.
            limiter: Counts messages as requests.
            first_message_s: How long a socket without a credential may take to send one.
        """
        self._app = app
        self._doorkeeper = doorkeeper
        self._limiter = limiter
        self._first_message_s = first_message_s

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Find out whose socket it is, then serve it.

        Raises:
            UnauthenticatedError: It brings no credential, or one that does not work.
        """
        is_socket = scope["type"] == "websocket"
        return self._serve(scope, receive, send) if is_socket else self._app(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        state, opening = scope["state"], _Opening(receive, send)
        credential = credential_in(scope["headers"], websocket=True)
        if credential is None:
            credential = await opening.credential_in_first_message(self._first_message_s)
        elif BEARER_SUBPROTOCOL in scope.get("subprotocols", ()):
            opening.subprotocol = BEARER_SUBPROTOCOL
        request_id, address = state["request_id"], state["client"].address
        known = await self._doorkeeper.admit(credential, address=address, request_id=request_id)
        await opening.confirm()
        state["context"] = self._doorkeeper.make_context(identity=known.identity, request_id=request_id)
        state["user"], state["credential_id"] = known.user, known.credential_id

        async def recheck() -> None:
            await self._doorkeeper.recheck(credential, known, request_id=request_id)

        async def count() -> None:
            await self._limiter.admit(self._limiter.rates.user, "user", str(known.identity.user_id))

        with closing(self._doorkeeper.authenticator.watch(known)) as watch:
            socket = _GuardedSocket(opening, watch, recheck=recheck, count=count)
            try:
                await self._app(scope, socket.receive, socket.send)
            finally:
                socket.drop()


class _Opening:
    """The handshake, part of which may have happened before the route behind hears of the socket."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive, self._send = receive, send
        self._accepted_early = False
        self._connect: Message | None = None
        self.subprotocol: str | None = None

    async def credential_in_first_message(self, within_s: float) -> str:
        self._connect = await self._receive()
        await self._send({"type": "websocket.accept"})
        self._accepted_early = True
        try:
            async with asyncio.timeout(within_s):
                message = await self._receive()
        except TimeoutError:
            raise UnauthenticatedError("the first message has to bring a credential") from None
        if message["type"] == _DISCONNECT:
            raise ClientDisconnect
        return _credential_of(message.get("text") or "")

    async def confirm(self) -> None:
        if self._accepted_early:
            await self._send({"type": "websocket.send", "text": '{"type":"authenticated"}'})

    async def receive(self) -> Message:
        if self._connect is not None:
            message, self._connect = self._connect, None
            return message
        return await self._receive()

    async def send(self, message: Message) -> None:
        if message["type"] == "websocket.accept":
            if self._accepted_early:
                return
            message = {**message, "subprotocol": message.get("subprotocol") or self.subprotocol}
        await self._send(message)


class _GuardedSocket:
    """A socket whose user is looked at again with each message, and when something about the user changes."""

    def __init__(
        self,
        opening: _Opening,
        watch: Watch,
        *,
        recheck: Callable[[], Awaitable[None]],
        count: Callable[[], Awaitable[None]],
    ) -> None:
        self._opening, self._watch = opening, watch
        self._recheck, self._count = recheck, count
        self._receiving: asyncio.Future[Message] | None = None
        self._closed_with: int | None = None

    async def receive(self) -> Message:
        while self._closed_with is None:
            receiving = self._receiving or asyncio.ensure_future(self._opening.receive())
            self._receiving = receiving
            await self._wait_for(receiving)
            message = receiving.result() if receiving.done() else None
            try:
                await self._check(message)
            except FiresideError as error:
                await self._close(error)
                break
            if message is not None:
                self._receiving = None
                return message
        return {"type": _DISCONNECT, "code": self._closed_with}

    async def send(self, message: Message) -> None:
        if self._closed_with is None:
            await self._opening.send(message)

    def drop(self) -> None:
        if self._receiving is not None:
            self._receiving.cancel()

    async def _wait_for(self, receiving: asyncio.Future[Message]) -> None:
        changed = asyncio.ensure_future(self._watch.changed.wait())
        try:
            await asyncio.wait((receiving, changed), return_when=asyncio.FIRST_COMPLETED)
        finally:
            changed.cancel()

    async def _check(self, message: Message | None) -> None:
        spoken = message is not None and message["type"] == "websocket.receive"
        if self._watch.changed.is_set() or spoken:
            self._watch.changed.clear()
            await self._recheck()
        if spoken:
            await self._count()

    async def _close(self, error: FiresideError) -> None:
        self._closed_with = _CLOSE_CODES + error.status
        await self._opening.send({"type": "websocket.close", "code": self._closed_with, "reason": error.code})


def _credential_of(text: str) -> str:
    try:
        message: Any = orjson.loads(text)
    except orjson.JSONDecodeError:
        message = None
    if not isinstance(message, dict):
        raise MalformedCredentialError(_EXPECTED)
    fields = cast("dict[str, Any]", message)
    token = fields.get("token")
    if fields.get("type") != "authenticate" or not isinstance(token, str) or not 0 < len(token) <= MAX_CREDENTIAL_CHARS:
        raise MalformedCredentialError(_EXPECTED)
    return token
