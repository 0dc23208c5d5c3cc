"""What people do with their own account."""

from fireside.contracts.auth import ChangePassword, Profile, UpdateProfile, UserView
from fireside.contracts.auth_facts import PasswordChanged, SessionRevoked
from fireside.core.ids import SessionId
from fireside.runtime.context import Context
from fireside.services.auth.errors import WrongCredentialsError
from fireside.services.auth.repository import sessions, users
from fireside.services.auth.tools import Tools
from fireside.services.auth.views import user_view


class Accounts:
    """Shows and changes the account of whoever asks."""

    def __init__(self, tools: Tools) -> None:
        self._database, self._passwords, self._changes = tools.database, tools.passwords, tools.changes

    async def me(self, context: Context) -> Profile:
        """Who asks, and what they may do with this credential."""
        identity = context.identity
        async with self._database.read() as session:
            user = await users.get(session, identity.require_user())
        session_id = None if identity.session_id is None else SessionId(identity.session_id)
        held = tuple(sorted(identity.permissions))
        return Profile(**user_view(user).model_dump(), permissions=held, session_id=session_id)

    async def update(self, context: Context, request: UpdateProfile) -> UserView:
        """Change what people may change about themselves."""
        user_id = context.identity.require_user()
        async with self._database.transaction(context) as unit:
            if request.name is not None:
                await users.change(unit.session, user_id, name=request.name)
            user = await users.get(unit.session, user_id)
        await self._changes.tell(context, user_id)
        return user_view(user)

    async def change_password(self, context: Context, request: ChangePassword) -> None:
        """Change the password of whoever asks; their other sessions end, their API keys go on.

        Raises:
            WrongCredentialsError: The present password is another.
            SignInsDelayedError: There were too many attempts.
            WeakPasswordError: The new password is too easy to guess.
        """
        user_id, address = context.identity.require_user(), request.client.address
        async with self._database.read() as session:
            email = (await users.get(session, user_id)).email
        user, _ = await self._passwords.check(context, email=email, password=request.current_password, address=address)
        new_hash = await self._passwords.hash_new(request.new_password, email=email)
        current = context.identity.session_id
        async with self._database.transaction(context) as unit:
            if (await users.get(unit.session, user_id, lock=True)).password_hash != user.password_hash:
                raise WrongCredentialsError
            await self._passwords.forget(unit, email=email, address=address)
            await users.change(unit.session, user_id, password_hash=new_hash)
            unit.emit(PasswordChanged(user_id=user_id, by=user_id))
            keep = None if current is None else SessionId(current)
            for ended in await sessions.remove_of(unit.session, user_id, keep=keep):
                unit.emit(SessionRevoked(user_id=user_id, by=user_id, session_id=ended, reason="password_changed"))
        await self._changes.tell(context, user_id)
