"""Queries on roles. Those at start are found here too, though they stand in the code."""

from typing import Any
from uuid import UUID

from sqlalchemy import Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from fireside.services.auth.errors import RoleExistsError, RoleNotFoundError, UnknownRoleError
from fireside.services.auth.model import BUILT_IN_ROLES, Role
from fireside.services.auth.tables import roles


async def find(session: AsyncSession, name: str, *, lock: bool = False) -> Role | None:
    """The role of this name; `lock` keeps it from being changed or deleted until the transaction ends."""
    if name in BUILT_IN_ROLES:
        return BUILT_IN_ROLES[name]
    query = select(roles).where(roles.c.name == name)
    row = (await session.execute(query.with_for_update() if lock else query)).one_or_none()
    return None if row is None else _role(row)


async def get(session: AsyncSession, name: str, *, lock: bool = False) -> Role:
    """The role of this name, which the request is about.

    Raises:
        RoleNotFoundError: There is none.
    """
    role = await find(session, name, lock=lock)
    if role is None:
        raise RoleNotFoundError
    return role


async def get_to_give(session: AsyncSession, name: str) -> Role:
    """The role of this name, to give it to somebody; nobody can delete it before the transaction ends.

    Raises:
        UnknownRoleError: There is none.
    """
    role = await find(session, name, lock=True)
    if role is None:
        raise UnknownRoleError(f"there is no role {name}", field="role")
    return role


async def list_all(session: AsyncSession) -> list[Role]:
    """Every role, in order of name."""
    added = [_role(row) for row in await session.execute(select(roles))]
    return sorted([*BUILT_IN_ROLES.values(), *added], key=lambda role: role.name)


async def add(session: AsyncSession, role: Role) -> None:
    """Store a new role.

    Raises:
        RoleExistsError: There is one of this name.
    """
    try:
        await session.execute(insert(roles).values(**_values(role)))
    except IntegrityError as error:
        raise RoleExistsError(field="name") from error


async def change(session: AsyncSession, role: Role) -> None:
    """Store what changed about a role."""
    await session.execute(update(roles).where(roles.c.id == role.id).values(**_values(role)))


async def remove(session: AsyncSession, role_id: UUID) -> None:
    """Delete a role."""
    await session.execute(delete(roles).where(roles.c.id == role_id))


def _values(role: Role) -> dict[str, Any]:
    return {
        "id": role.id,
        "name": role.name,
        "description": role.description,
        "permissions": sorted(role.permissions),
    }


def _role(row: Row[Any]) -> Role:
    return Role(row.id, row.name, row.description, frozenset(row.permissions))
