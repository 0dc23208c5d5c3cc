"""What administrators do with the accounts of others. Nobody can give away, or rule over, more than they hold."""

import base64
import binascii
from typing import Any, Literal

from fireside.contracts.auth import UserView
from fireside.contracts.auth_admin import (
    CreateUser,
    ListUsers,
    UpdateUser,
    UserPage,
)
from fireside.contracts.auth_facts import (
    PasswordChanged,
    SessionRevoked,
    UserDeleted,
    UserLocked,
    UserRegistered,
    UserRoleChanged,
    UserUnlocked,
)
from fireside.contracts.permissions import ADMIN
from fireside.core.ids import UserId
from fireside.runtime.context import Context
from fireside.runtime.durable import UnitOfWork
from fireside.services.auth.errors import (
    InvalidCursorError,
    LastAdministratorError,
    UserNotFoundError,
)
from fireside.services.auth.lock_out import account_key
from fireside.services.auth.model import User, effective_permissions, normal_email, person, require_covers
from fireside.services.auth.repository import api_keys, attempts, roles, sessions, users
from fireside.services.auth.tools import Tools
from fireside.services.auth.views import user_view


class Administration:
    """Lists, makes, changes, locks and deletes accounts, and invites people."""

    def __init__(self, tools: Tools) -> None:
        self._database, self._passwords = tools.database, tools.passwords
        self._changes, self._clock = tools.changes, tools.clock

    async def list_users(self, request: ListUsers) -> UserPage:
        """People in order of address.

        Raises:
            InvalidCursorError: The cursor is made up.
        """
        after = "" if request.cursor is None else _address_in(request.cursor)
        async with self._database.read() as session:
            found = await users.page(
                session,
                query=request.query,
                role=request.role,
                state=request.state,
                after=after,
                limit=request.limit + 1,
            )
        shown = found[: request.limit]
        next_cursor = _cursor_after(shown[-1]) if len(found) > len(shown) else None
        return UserPage(items=tuple(user_view(user) for user in shown), next_cursor=next_cursor)

    async def get_user(self, user_id: UserId) -> UserView:
        """One account.

        Raises:
            UserNotFoundError: There is no such person.
        """
        async with self._database.read() as session:
            return user_view(_a_person(await users.get(session, user_id)))

    async def create_user(self, context: Context, request: CreateUser) -> UserView:
        """Make an account.

        Raises:
            EmailTakenError: There is one with this address.
            UnknownRoleError: There is no such role.
            BeyondOwnRightsError: The role allows what the caller may not do.
            WeakPasswordError: The password is too easy to guess.
        """
        email, now = normal_email(request.email), self._clock.now()
        password_hash = await self._passwords.hash_new(request.password, email=email)
        user = person(email=email, name=request.name, role=request.role, password_hash=password_hash, now=now)
        async with self._database.transaction(context) as unit:
            await self._require_may_give(unit, context, request.role)
            await users.add(unit.session, user)
            by = context.identity.user_id
            unit.emit(UserRegistered(user_id=user.id, by=by, role=user.role, how="administrator"))
        return user_view(user)

    async def update_user(self, context: Context, request: UpdateUser) -> UserView:
        """Change an account. A new role counts from the next request on; a new password ends all sessions.

        Raises:
            UserNotFoundError: There is no such person.
            UnknownRoleError: There is no such role.
            BeyondOwnRightsError: The old or the new role allows what the caller may not do.
            LastAdministratorError: Nobody would be left to administer.
            WeakPasswordError: The password is too easy to guess.
        """
        changed: dict[str, Any] = {} if request.name is None else {"name": request.name}
        if request.password is not None:
            email = (await self.get_user(request.id)).email
            changed["password_hash"] = await self._passwords.hash_new(request.password, email=email)
        async with self._database.transaction(context) as unit:
            before = await self._get_to_change(unit, context, request.id)
            if request.role is not None and request.role != before.role:
                await self._change_role(unit, context, before, request.role)
            if request.password is not None:
                unit.emit(PasswordChanged(user_id=before.id, by=context.identity.user_id))
                await self._end_sessions(unit, context, before.id, reason="password_changed")
            if changed:
                await users.change(unit.session, before.id, **changed)
            after = await users.get(unit.session, before.id)
        await self._changes.tell(context, after.id)
        return user_view(after)

    async def lock_user(self, context: Context, user_id: UserId) -> UserView:
        """Keep an account from being used, at once: its sessions end, its keys are refused.

        Raises:
            UserNotFoundError: There is no such person.
            BeyondOwnRightsError: The account allows what the caller may not do.
            LastAdministratorError: Nobody would be left to administer.
        """
        async with self._database.transaction(context) as unit:
            user = await self._get_to_change(unit, context, user_id)
            await self._require_another_administrator(unit, user)
            await users.change(unit.session, user_id, state="locked")
            await self._end_sessions(unit, context, user_id, reason="locked")
            unit.emit(UserLocked(user_id=user_id, by=context.identity.user_id))
            locked = await users.get(unit.session, user_id)
        await self._changes.tell(context, user_id)
        return user_view(locked)

    async def unlock_user(self, context: Context, user_id: UserId) -> UserView:
        """Let an account be used again, and forget wrong passwords.

        Raises:
            UserNotFoundError: There is no such person.
            BeyondOwnRightsError: The account allows what the caller may not do.
        """
        async with self._database.transaction(context) as unit:
            user = await self._get_to_change(unit, context, user_id)
            await users.change(unit.session, user_id, state="active")
            await attempts.forget_account(unit.session, account_key(user.email))
            unit.emit(UserUnlocked(user_id=user_id, by=context.identity.user_id))
            unlocked = await users.get(unit.session, user_id)
        await self._changes.tell(context, user_id)
        return user_view(unlocked)

    async def delete_user(self, context: Context, user_id: UserId) -> None:
        """Delete an account with its sessions and keys. Other services erase what it owned when they hear of it.

        Raises:
            UserNotFoundError: There is no such person.
            BeyondOwnRightsError: The account allows what the caller may not do.
            LastAdministratorError: Nobody would be left to administer.
        """
        async with self._database.transaction(context) as unit:
            user = await self._get_to_change(unit, context, user_id)
            await self._require_another_administrator(unit, user)
            await attempts.forget_account(unit.session, account_key(user.email))
            keys = tuple(key.id for key in await api_keys.list_of(unit.session, user_id))
            await users.remove(unit.session, user_id)
            unit.emit(UserDeleted(user_id=user_id, by=context.identity.user_id, api_key_ids=keys))
        await self._changes.tell(context, user_id)

    async def _get_to_change(self, unit: UnitOfWork, context: Context, user_id: UserId) -> User:
        user = _a_person(await users.get(unit.session, user_id, lock=True))
        role = await roles.find(unit.session, user.role)
        require_covers(context.identity, effective_permissions(role, None))
        return user

    async def _require_may_give(self, unit: UnitOfWork, context: Context, role_name: str) -> None:
        role = await roles.get_to_give(unit.session, role_name)
        require_covers(context.identity, role.permissions)

    async def _require_another_administrator(self, unit: UnitOfWork, user: User) -> None:
        if user.role == ADMIN and not set(await users.active_administrators(unit.session)) - {user.id}:
            raise LastAdministratorError

    async def _change_role(self, unit: UnitOfWork, context: Context, user: User, role_name: str) -> None:
        await self._require_may_give(unit, context, role_name)
        await self._require_another_administrator(unit, user)
        await users.change(unit.session, user.id, role=role_name)
        by = context.identity.user_id
        unit.emit(UserRoleChanged(user_id=user.id, by=by, before=user.role, after=role_name))

    async def _end_sessions(
        self, unit: UnitOfWork, context: Context, user_id: UserId, *, reason: Literal["locked", "password_changed"]
    ) -> None:
        by = context.identity.user_id
        for session_id in await sessions.remove_of(unit.session, user_id):
            unit.emit(SessionRevoked(user_id=user_id, by=by, session_id=session_id, reason=reason))


def _a_person(user: User) -> User:
    """The account of the command line is not one that administrators look after."""
    if user.kind != "person":
        raise UserNotFoundError
    return user


def _cursor_after(user: User) -> str:
    return base64.urlsafe_b64encode(user.email.encode()).decode("ascii")


def _address_in(cursor: str) -> str:
    try:
        address = base64.b64decode(cursor, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise InvalidCursorError(field="cursor") from error
    if not address.isprintable():
        raise InvalidCursorError(field="cursor")
    return address
