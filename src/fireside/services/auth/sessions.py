"""Signing in, staying signed in, and signing out."""

import asyncio
from datetime import timedelta
from typing import Literal

from fireside.contracts.auth import Client, RefreshSession, SessionList, SignIn, Tokens
from fireside.contracts.auth_facts import SessionRevoked, SessionStarted
from fireside.core.ids import SessionId, UserId, new_id
from fireside.runtime.context import Context
from fireside.runtime.durable import UnitOfWork
from fireside.services.auth.errors import (
    AccountLockedError,
    InvalidRefreshTokenError,
    NoSessionError,
    SessionNotFoundError,
    WrongCredentialsError,
)
from fireside.services.auth.model import Session, User, normal_email
from fireside.services.auth.opaque_tokens import RefreshToken, make_refresh_token, parse_refresh_token, same
from fireside.services.auth.repository import sessions, users
from fireside.services.auth.signing import Signing
from fireside.services.auth.tools import Tools
from fireside.services.auth.views import session_view

_LISTED = 100


class Sessions:
    """Begins, renews and ends sessions."""

    def __init__(self, tools: Tools, *, signing: Signing) -> None:
        self._database, self._passwords, self._changes = tools.database, tools.passwords, tools.changes
        self._settings, self._clock, self._signing = tools.settings, tools.clock, signing
        self._renewing: dict[str, asyncio.Task[Tokens]] = {}

    async def sign_in(self, context: Context, request: SignIn) -> Tokens:
        """Begin a session with address and password.

        Raises:
            WrongCredentialsError: They do not belong together; or there is no such account.
            SignInsDelayedError: There were too many attempts.
            AccountLockedError: They are right, but an administrator locked the account.
        """
        email, client = normal_email(request.email), request.client
        user, new_hash = await self._passwords.check(
            context, email=email, password=request.password, address=client.address
        )
        async with self._database.transaction(context) as unit:
            present = await users.find(unit.session, user.id, lock=True)
            if present is None or present.password_hash != user.password_hash:
                raise WrongCredentialsError(error="invalid_grant")
            await self._passwords.forget(unit, email=email, address=client.address)
            if present.state == "locked":
                raise AccountLockedError(error="invalid_grant")
            token = await self._begin(unit, present, client)
            changed = {"last_sign_in_at": self._clock.now(), "password_hash": new_hash or user.password_hash}
            await users.change(unit.session, user.id, **changed)
        return self._tokens(user.id, token)

    async def refresh(self, context: Context, request: RefreshSession) -> Tokens:
        """The next pair of tokens.

        A browser may send the same request twice at once, from two tabs or after a lost connection: while the first
        is being answered, the second gets the same answer. Any later use of a token that was used ends the session.

        Raises:
            InvalidRefreshTokenError: It does not work, or does no more.
        """
        if not request.client.browser:
            return await self._refresh(context, request)
        same_request = f"{request.refresh_token}\n{request.client.user_agent}\n{request.client.address}"
        renewing = self._renewing.get(same_request)
        if renewing is None:
            renewing = asyncio.create_task(self._refresh(context, request))
            self._renewing[same_request] = renewing
            renewing.add_done_callback(lambda task: self._renewed(same_request, task))
        return await asyncio.shield(renewing)

    async def sign_out(self, context: Context) -> None:
        """End the session that asks; nothing happens when it has ended already.

        Raises:
            NoSessionError: An API key asks.
        """
        session_id = context.identity.session_id
        if session_id is None:
            raise NoSessionError
        await self._end(context, SessionId(session_id), reason="signed_out")

    async def list_own(self, context: Context) -> SessionList:
        """Where the user is signed in, last used first."""
        identity = context.identity
        async with self._database.read() as session:
            found = await sessions.list_of(session, identity.require_user(), now=self._clock.now(), limit=_LISTED)
        current = None if identity.session_id is None else SessionId(identity.session_id)
        return SessionList(items=tuple(session_view(item, current=current) for item in found))

    async def revoke(self, context: Context, session_id: SessionId) -> None:
        """End one of the user's sessions.

        Raises:
            SessionNotFoundError: The user has no such session.
        """
        if not await self._end(context, session_id, reason="revoked"):
            raise SessionNotFoundError

    async def _begin(self, unit: UnitOfWork, user: User, client: Client) -> RefreshToken:
        now, session_id = self._clock.now(), SessionId(new_id())
        token = make_refresh_token(session_id)
        session = Session(
            id=session_id,
            user_id=user.id,
            family_hash=token.family_hash,
            refresh_hash=token.refresh_hash,
            generation=token.generation,
            address=client.address[:100],
            user_agent="".join(filter(str.isprintable, client.user_agent))[:300],
            created_at=now,
            last_used_at=now,
            expires_at=now + self._lifetime,
        )
        await sessions.add(unit.session, session)
        unit.emit(SessionStarted(user_id=user.id, by=user.id, session_id=session_id, address=session.address))
        return token

    async def _refresh(self, context: Context, request: RefreshSession) -> Tokens:
        token, now = parse_refresh_token(request.refresh_token), self._clock.now()
        if token is None:
            raise InvalidRefreshTokenError(error="invalid_grant")
        successor = token.next()
        async with self._database.transaction(context) as unit:
            session = await sessions.find(unit.session, token.session_id, lock=True)
            if session is None or session.expires_at <= now or not same(session.family_hash, token.family_hash):
                raise InvalidRefreshTokenError(error="invalid_grant")
            reused = not same(session.refresh_hash, token.refresh_hash)
            if reused:
                await sessions.remove(unit.session, session.id)
                unit.emit(SessionRevoked(user_id=session.user_id, session_id=session.id, reason="reuse"))
            else:
                new_end = now + self._lifetime
                await sessions.rotate(
                    unit.session, session.id, refresh_hash=successor.refresh_hash, used_at=now, expires_at=new_end
                )
        if reused:
            await self._changes.tell(context, session.user_id)
            raise InvalidRefreshTokenError("the refresh token was used before: sign in again", error="invalid_grant")
        return self._tokens(session.user_id, successor)

    def _renewed(self, same_request: str, task: asyncio.Task[Tokens]) -> None:
        self._renewing.pop(same_request, None)
        if not task.cancelled():
            task.exception()  # whoever waits gets it; this keeps asyncio from reporting it when nobody waits any more

    async def _end(self, context: Context, session_id: SessionId, *, reason: Literal["signed_out", "revoked"]) -> bool:
        user_id = context.identity.require_user()
        async with self._database.transaction(context) as unit:
            session = await sessions.find(unit.session, session_id, lock=True)
            if session is None or session.user_id != user_id:
                return False
            await sessions.remove(unit.session, session_id)
            unit.emit(SessionRevoked(user_id=user_id, by=user_id, session_id=session_id, reason=reason))
        await self._changes.tell(context, user_id)
        return True

    def _tokens(self, user_id: UserId, token: RefreshToken) -> Tokens:
        access = self._signing.tokens
        return Tokens(
            access_token=access.issue(user_id, token.session_id, now=self._clock.now()),
            refresh_token=token.text,
            expires_in_s=access.lifetime_s,
            refresh_expires_in_s=int(self._lifetime.total_seconds()),
            session_id=token.session_id,
        )

    @property
    def _lifetime(self) -> timedelta:
        return timedelta(days=self._settings.refresh_token_days)
