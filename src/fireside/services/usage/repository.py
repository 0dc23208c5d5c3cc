"""Every query of the usage service."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Row, bindparam, case, delete, exists, func, literal, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from fireside.contracts.usage import ERASED, OPTED_OUT, LimitUnit, UsageRow, UsageSum
from fireside.runtime.durable import hold_lock
from fireside.services.usage.tables import batches, erased_users, hours, opted_out

_REMEMBERED = timedelta(days=1)
_DATA_EXCEPTION = "22"
"""The class of PostgreSQL's errors about values."""
_ERASING = "usage_erased_users"
"""The lock of those who erase; whoever adds holds it shared."""
_PLACE = ("hour", "user_id", "api_key_id", "model", "roles")
_SUMS = ("requests", "prompt_tokens", "completion_tokens", "cached_tokens", "cost_nano", "estimated", "unpriced")
_UNITS: dict[LimitUnit, ColumnElement[int]] = {
    "requests": hours.c.requests,
    "tokens": hours.c.prompt_tokens + hours.c.completion_tokens,
    "cost": hours.c.cost_nano,
}
_INSERTS: dict[str, Any] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}
# What is carried out several times a second is built once: building takes longer.
_FORGETTING = delete(batches).where(batches.c.at < bindparam("before"))
_ERASED_AMONG = select(erased_users.c.user_id).where(erased_users.c.user_id.in_(bindparam("told", expanding=True)))


async def is_new_batch(session: AsyncSession, batch: str, *, now: datetime) -> bool:
    """Remember a batch; whether it was not known. Those that nobody sends again any more are forgotten."""
    await session.execute(_FORGETTING, {"before": now - _REMEMBERED})
    found = await session.execute(_remembering(_dialect(session)), {"batch": batch, "at": now})
    return found.one_or_none() is not None


async def add(session: AsyncSession, rows: Sequence[UsageRow]) -> None:
    """Add sums to those that are stored, always in the same order, so that two nodes never wait for each other."""
    named = await _without_erased(session, rows)
    ordered = sorted(named, key=lambda row: tuple(str(getattr(row, name)) for name in _PLACE))
    if ordered:
        await session.execute(_adding(_dialect(session)), [row.model_dump() for row in ordered])


def is_about_values(error: DBAPIError) -> bool:
    """Whether a change was refused for what it says: a number that is too large, a text that is too long."""
    return str(getattr(error.orig, "sqlstate", None) or "").startswith(_DATA_EXCEPTION)


async def erase_user(session: AsyncSession, user_id: str) -> None:
    """Keep what a user used as sums without the user; also what is told later. Doing it again changes nothing."""
    await hold_lock(session, _ERASING)
    await session.execute(_insert(session)(erased_users).values(user_id=user_id).on_conflict_do_nothing())
    place = (hours.c.hour, literal(ERASED), literal(""), hours.c.model, hours.c.roles)
    theirs = select(*place, *(func.sum(hours.c[name]) for name in _SUMS)).where(hours.c.user_id == user_id)
    theirs = theirs.group_by(hours.c.hour, hours.c.model, hours.c.roles)
    await session.execute(_summing(_insert(session)(hours).from_select([*_PLACE, *_SUMS], theirs)))
    await session.execute(delete(hours).where(hours.c.user_id == user_id))
    await opt_out(session, user_id, opted=False)


async def opt_out(session: AsyncSession, user_id: str, *, opted: bool) -> None:
    """Note that a user does not want to be shown by name, or does again."""
    note = _insert(session)(opted_out).values(user_id=user_id).on_conflict_do_nothing()
    await session.execute(note if opted else delete(opted_out).where(opted_out.c.user_id == user_id))


async def has_opted_out(session: AsyncSession, user_id: str) -> bool:
    """Whether a user does not want to be shown by name."""
    return bool(await session.scalar(select(exists().where(opted_out.c.user_id == user_id))))


async def used_since(session: AsyncSession, wanted: UsageSum) -> int:
    """What was used since the beginning of an hour."""
    query = select(hours.c.roles, func.sum(_UNITS[wanted.unit])).where(
        hours.c.hour >= wanted.since, hours.c.user_id != ""
    )
    if wanted.scope in {"user", "key"}:
        column = hours.c.user_id if wanted.scope == "user" else hours.c.api_key_id
        query = query.where(column == wanted.who)
    if wanted.model is not None:
        query = query.where(hours.c.model == wanted.model)
    found = await session.execute(query.group_by(hours.c.roles))
    return sum(int(used) for roles, used in found if wanted.scope != "role" or wanted.who in roles.split(","))


async def sums(
    session: AsyncSession, group_by: str, *, since: datetime, until: datetime, user_id: str | None
) -> list[Row[Any]]:
    """Sums of the hours from one moment to another, by `hour` or another column; of one user, or of everybody.

    Those of everybody show users who opted out, and their keys, together.
    """
    column = hours.c[group_by]
    if user_id is None and group_by in {"user_id", "api_key_id"}:
        column = case((hours.c.user_id.in_(select(opted_out.c.user_id)), literal(OPTED_OUT)), else_=column)
    query = select(column.label("group"), *(func.sum(hours.c[name]).label(name) for name in _SUMS))
    query = query.where(hours.c.hour >= since, hours.c.hour < until)
    if user_id is not None:
        query = query.where(hours.c.user_id == user_id)
    return list(await session.execute(query.group_by("group").order_by("group")))


async def _without_erased(session: AsyncSession, rows: Sequence[UsageRow]) -> list[UsageRow]:
    """The rows; those of users who are gone without their names."""
    await hold_lock(session, _ERASING, shared=True)
    told = {row.user_id for row in rows}
    gone = set(await session.scalars(_ERASED_AMONG, {"told": list(told)}))
    nobody = {"user_id": ERASED, "api_key_id": ""}
    return [row.model_copy(update=nobody) if row.user_id in gone else row for row in rows]


@cache
def _remembering(dialect: str) -> Any:
    return _INSERTS[dialect](batches).on_conflict_do_nothing().returning(batches.c.batch)


@cache
def _adding(dialect: str) -> Any:
    return _summing(_INSERTS[dialect](hours))


def _summing(adding: Any) -> Any:
    summed = {name: hours.c[name] + adding.excluded[name] for name in _SUMS}
    return adding.on_conflict_do_update(index_elements=_PLACE, set_=summed)


def _insert(session: AsyncSession) -> Any:
    return _INSERTS[_dialect(session)]


def _dialect(session: AsyncSession) -> str:
    return session.get_bind().dialect.name
