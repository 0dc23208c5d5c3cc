"""Every request gets a context with the identity behind its credential, or with nobody's.

A credential that does not work is an error, never nobody. A long reply ends when the rights of whoever reads it change;
sockets stand in `socket_authentication`.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fireside.core.errors import FiresideError, UnauthenticatedError
from fireside.core.identity import Identity
from fireside.runtime.context import Context
from fireside.services.gateway.credentials import credential_in
from fireside.services.gateway.identities import Authenticator, Known, Watch
from fireside.services.gateway.problems import ReplyBrokenOffError
from fireside.services.gateway.rate_limits import RateLimiter

CREDENTIAL_FREE_PATHS = frozenset({"/api/v1/auth/token", "/api/v1/auth/register", "/api/v1/auth/setup"})
"""Where people come to get a credential: one that has expired, sent along by habit, must not keep them out."""


class MakeContext(Protocol):
    """Makes the root context of a request; a node's `context` does."""

    def __call__(self, *, identity: Identity = ..., request_id: str | None = ...) -> Context:
        """A context for this identity."""
        ...


class RightsChangedError(UnauthenticatedError):
    """Whoever reads this may do more or less than before: begin again."""

    code = "rights_changed"


class Doorkeeper:
    """Lets credentials in, and slows down whoever tries many that do not work."""

    def __init__(self, *, authenticator: Authenticator, limiter: RateLimiter, make_context: MakeContext) -> None:
        self.authenticator = authenticator
        self.make_context = make_context
        self._limiter = limiter

    async def admit(self, credential: str, *, address: str, request_id: str) -> Known:
        """Whom a credential stands for.

        Raises:
            UnauthenticatedError: For nobody.
            RateLimitedError: Too many from this address stood for nobody.
        """
        known = self.authenticator.remembered(credential)
        if known is not None:
            return known
        failed = self._limiter.rates.failed
        await self._limiter.require_room(failed, "credentials", address)
        try:
            return await self.authenticator.identify(self.make_context(request_id=request_id), credential)
        except UnauthenticatedError:
            await self._limiter.admit(failed, "credentials", address)
            raise

    async def recheck(self, credential: str, known: Known, *, request_id: str) -> Known:
        """Whom a credential that was admitted stands for now.

        Raises:
            UnauthenticatedError: For nobody any more.
            RightsChangedError: For someone who may do other things than before.
        """
        now = await self.authenticator.identify(self.make_context(request_id=request_id), credential)
        if now.identity != known.identity:
            raise RightsChangedError
        return now


class Authentication:
    """Puts `context`, `user` and `credential_id` into the state of every request over HTTP."""

    def __init__(self, app: ASGIApp, *, doorkeeper: Doorkeeper) -> None:
        self._app = app
        self._doorkeeper = doorkeeper

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Find out who asks, then pass the request on.

        Raises:
            UnauthenticatedError: There is a credential, and it does not work.
        """
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = scope["state"]
        credential = None if scope["path"] in CREDENTIAL_FREE_PATHS else credential_in(scope["headers"])
        if credential is None:
            state["context"] = self._doorkeeper.make_context(request_id=state["request_id"])
            await self._app(scope, receive, send)
            return
        request_id = state["request_id"]
        known = await self._doorkeeper.admit(credential, address=state["client"].address, request_id=request_id)
        state["context"] = self._doorkeeper.make_context(identity=known.identity, request_id=request_id)
        state["user"], state["credential_id"] = known.user, known.credential_id

        async def recheck() -> None:
            await self._doorkeeper.recheck(credential, known, request_id=request_id)

        guard = _ReplyGuard(send, recheck, lambda: self._doorkeeper.authenticator.watch(known))
        try:
            await self._app(scope, receive, guard.send)
        finally:
            guard.close()


class _ReplyGuard:
    """Looks again at who reads a long reply, when something about them changes."""

    def __init__(self, send: Send, recheck: Callable[[], Awaitable[None]], watch: Callable[[], Watch]) -> None:
        self._send, self._recheck, self._make_watch = send, recheck, watch
        self._watch: Watch | None = None

    def send(self, message: Message) -> Awaitable[None]:
        if message.get("more_body"):
            self._watch = self._watch or self._make_watch()
            if self._watch.changed.is_set():
                return self._look_and_send(self._watch, message)
        return self._send(message)

    def close(self) -> None:
        if self._watch is not None:
            self._watch.close()

    async def _look_and_send(self, watch: Watch, message: Message) -> None:
        watch.changed.clear()
        await asyncio.sleep(0)  # a piece of a stream may be sent in no task; calls need one
        try:
            await self._recheck()
        except FiresideError as error:
            raise ReplyBrokenOffError(error.code) from error
        await self._send(message)
