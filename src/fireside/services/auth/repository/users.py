"""Queries on accounts."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, and_, delete, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from fireside.contracts.auth import UserState
from fireside.contracts.permissions import ADMIN
from fireside.core.ids import UserId
from fireside.services.auth.errors import EmailTakenError, UserNotFoundError
from fireside.services.auth.model import User
from fireside.services.auth.tables import users


async def add(session: AsyncSession, user: User) -> None:
    """Store a new account.

    Raises:
        EmailTakenError: There is one with this address.
    """
    try:
        await session.execute(insert(users).values(**{name: getattr(user, name) for name in User.__slots__}))
    except IntegrityError as error:
        raise EmailTakenError(field="email") from error


async def find(session: AsyncSession, user_id: UserId, *, lock: bool = False) -> User | None:
    """The account with this id; `lock` keeps it from being changed by others until the transaction ends."""
    query = select(users).where(users.c.id == user_id)
    return _one(await session.execute(query.with_for_update() if lock else query))


async def get(session: AsyncSession, user_id: UserId, *, lock: bool = False) -> User:
    """The account with this id.

    Raises:
        UserNotFoundError: There is none.
    """
    user = await find(session, user_id, lock=lock)
    if user is None:
        raise UserNotFoundError
    return user


async def find_by_email(session: AsyncSession, email: str) -> User | None:
    """The account with this address, in its normal form."""
    return _one(await session.execute(select(users).where(users.c.email == email)))


async def find_local(session: AsyncSession) -> User | None:
    """The account of the command line on this machine."""
    return _one(await session.execute(select(users).where(users.c.kind == "local")))


async def change(session: AsyncSession, user_id: UserId, **values: Any) -> None:
    """Set columns of an account."""
    await session.execute(update(users).where(users.c.id == user_id).values(**values))


async def remove(session: AsyncSession, user_id: UserId) -> None:
    """Delete an account with its sessions and keys."""
    await session.execute(delete(users).where(users.c.id == user_id))


async def active_administrators(session: AsyncSession) -> Sequence[UserId]:
    """The people who can administer, kept from being changed by others until the transaction ends."""
    query = select(users.c.id).where(users.c.role == ADMIN, users.c.state == "active", users.c.kind == "person")
    return (await session.execute(query.with_for_update())).scalars().all()


async def has_administrator(session: AsyncSession) -> bool:
    """Whether anybody was made an administrator yet."""
    query = select(users.c.id).where(users.c.role == ADMIN, users.c.kind == "person").limit(1)
    return (await session.execute(query)).first() is not None


async def any_with_role(session: AsyncSession, role: str) -> bool:
    """Whether anybody has this role."""
    return (await session.execute(select(users.c.id).where(users.c.role == role).limit(1))).first() is not None


async def page(
    session: AsyncSession, *, query: str, role: str | None, state: UserState | None, after: str, limit: int
) -> list[User]:
    """People in order of address, beginning after one; `query` is part of address or name, in any case."""
    conditions: list[ColumnElement[bool]] = [users.c.kind == "person", users.c.email > after]
    if query:
        words = query.casefold()
        matches = users.c.email.contains(words, autoescape=True)
        conditions.append(or_(matches, func.lower(users.c.name).contains(words, autoescape=True)))
    if role is not None:
        conditions.append(users.c.role == role)
    if state is not None:
        conditions.append(users.c.state == state)
    rows = await session.execute(select(users).where(and_(*conditions)).order_by(users.c.email).limit(limit))
    return [_user(row) for row in rows.mappings()]


def _one(result: Any) -> User | None:
    row = result.mappings().one_or_none()
    return None if row is None else _user(row)


def _user(row: RowMapping) -> User:
    return User(**row)
