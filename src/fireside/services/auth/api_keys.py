"""API keys: made with part of their maker's rights, shown once, deleted at once. Their use is noted now and then."""

from datetime import datetime

from fireside.contracts.auth import ApiKeyList, CreateApiKey, CreatedApiKey
from fireside.contracts.auth_facts import ApiKeyCreated, ApiKeyRevoked
from fireside.core.ids import ApiKeyId, new_id
from fireside.runtime.context import Context
from fireside.services.auth.errors import ApiKeyNotFoundError, TooManyKeysError
from fireside.services.auth.model import ApiKey, check_expiry, check_scopes
from fireside.services.auth.opaque_tokens import make_api_key
from fireside.services.auth.repository import api_keys, users
from fireside.services.auth.tools import Tools
from fireside.services.auth.views import api_key_view


class ApiKeys:
    """Makes, lists and deletes the keys of whoever asks."""

    def __init__(self, tools: Tools) -> None:
        self._database, self._changes, self._clock = tools.database, tools.changes, tools.clock
        self._settings = tools.settings
        self._used_at: dict[ApiKeyId, datetime] = {}

    async def create(self, context: Context, request: CreateApiKey) -> CreatedApiKey:
        """Make a key. Its scopes stay as they are when its user gets a wider role, and shrink with a narrower one.

        Raises:
            InvalidScopeError: A scope that the maker does not hold.
            InvalidExpiryError: It would be expired from the start.
            TooManyKeysError: The user has as many as one may have.
        """
        user_id, now, text = context.identity.require_user(), self._clock.now(), make_api_key()
        scopes = check_scopes(request.scopes, context.identity)
        check_expiry(request.expires_at, now=now)
        key = ApiKey(
            id=ApiKeyId(new_id()),
            user_id=user_id,
            name=request.name,
            prefix=text.prefix,
            secret_hash=text.secret_hash,
            scopes=scopes,
            created_at=now,
            expires_at=request.expires_at,
        )
        async with self._database.transaction(context) as unit:
            await users.get(unit.session, user_id, lock=True)
            most = self._settings.max_keys_per_user
            if await api_keys.count_of(unit.session, user_id) >= most:
                raise TooManyKeysError(f"you have {most} keys; delete one first")
            await api_keys.add(unit.session, key)
            unit.emit(ApiKeyCreated(user_id=user_id, by=user_id, api_key_id=key.id, scopes=scopes))
        return CreatedApiKey(**api_key_view(key).model_dump(), key=text.text)

    async def list_own(self, context: Context) -> ApiKeyList:
        """The user's keys, newest first."""
        async with self._database.read() as session:
            found = await api_keys.list_of(session, context.identity.require_user())
        return ApiKeyList(items=tuple(api_key_view(key) for key in found))

    async def delete(self, context: Context, key_id: ApiKeyId) -> None:
        """Delete one of the user's keys; it stops working at once.

        Raises:
            ApiKeyNotFoundError: The user has no such key.
        """
        user_id = context.identity.require_user()
        async with self._database.transaction(context) as unit:
            if not await api_keys.remove(unit.session, key_id, user_id=user_id):
                raise ApiKeyNotFoundError
            unit.emit(ApiKeyRevoked(user_id=user_id, by=user_id, api_key_id=key_id))
        await self._changes.tell(context, user_id)

    def note_use(self, key_id: ApiKeyId) -> None:
        """Remember that a key was used now."""
        self._used_at[key_id] = self._clock.now()

    async def write_uses(self) -> None:
        """Write when keys were used since the last time."""
        used_at, self._used_at = self._used_at, {}
        if used_at:
            async with self._database.transaction() as unit:
                await api_keys.note_uses(unit.session, used_at)
