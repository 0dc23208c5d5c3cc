"""Whom a credential stands for at this moment. Nothing about rights is read from the credential itself."""

from fireside.contracts.auth import Authenticate, Authenticated
from fireside.services.auth.api_keys import ApiKeys
from fireside.services.auth.errors import InvalidCredentialError
from fireside.services.auth.model import effective_permissions
from fireside.services.auth.opaque_tokens import API_KEY_START, parse_api_key, same
from fireside.services.auth.repository import api_keys, roles, sessions, users
from fireside.services.auth.signing import Signing
from fireside.services.auth.tools import Tools


class Credentials:
    """Looks credentials up."""

    def __init__(self, tools: Tools, *, signing: Signing, keys: ApiKeys) -> None:
        self._database, self._clock = tools.database, tools.clock
        self._signing, self._keys = signing, keys

    async def authenticate(self, request: Authenticate) -> Authenticated:
        """Whom an access token or API key stands for, and what it allows now.

        Raises:
            InvalidCredentialError: It does not work, or does no more.
        """
        if request.credential.startswith(API_KEY_START):
            return await self._by_api_key(request.credential)
        return await self._by_access_token(request.credential)

    async def _by_access_token(self, token: str) -> Authenticated:
        claims = await self._signing.verify(token)
        async with self._database.read() as read:
            session = await sessions.find(read, claims.session_id)
            if session is None or session.user_id != claims.user_id:
                raise InvalidCredentialError
            user = await users.find(read, session.user_id)
            if user is None or user.state != "active":
                raise InvalidCredentialError
            role = await roles.find(read, user.role)
        return Authenticated(
            user_id=user.id,
            name=user.name,
            roles=(user.role,),
            permissions=tuple(effective_permissions(role, None)),
            session_id=session.id,
            expires_at=min(claims.expires_at, session.expires_at),
        )

    async def _by_api_key(self, text: str) -> Authenticated:
        parsed = parse_api_key(text)
        if parsed is None:
            raise InvalidCredentialError
        async with self._database.read() as read:
            key = await api_keys.find_by_prefix(read, parsed.prefix)
            if key is None or not same(key.secret_hash, parsed.secret_hash):
                raise InvalidCredentialError
            user = await users.find(read, key.user_id)
            expired = key.expires_at is not None and key.expires_at <= self._clock.now()
            if user is None or user.state != "active" or expired:
                raise InvalidCredentialError
            role = await roles.find(read, user.role)
        self._keys.note_use(key.id)
        return Authenticated(
            user_id=user.id,
            name=user.name,
            roles=(user.role,),
            permissions=tuple(effective_permissions(role, key.scopes)),
            api_key_id=key.id,
            expires_at=key.expires_at,
        )
