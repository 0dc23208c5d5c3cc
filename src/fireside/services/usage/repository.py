"""Every query of the usage service."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, delete, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from fireside.contracts.usage import LimitUnit, UsageRow, UsageSum
from fireside.services.usage.tables import batches, hours

_REMEMBERED = timedelta(days=1)
_PLACE = ("hour", "user_id", "api_key_id", "model", "roles")
_SUMS = ("requests", "prompt_tokens", "completion_tokens", "cached_tokens", "cost_nano", "estimated", "unpriced")
_UNITS: dict[LimitUnit, ColumnElement[int]] = {
    "requests": hours.c.requests,
    "tokens": hours.c.prompt_tokens + hours.c.completion_tokens,
    "cost": hours.c.cost_nano,
}


async def is_new_batch(session: AsyncSession, batch: str, *, now: datetime) -> bool:
    """Remember a batch; whether it was not known. Those that nobody sends again any more are forgotten."""
    await session.execute(delete(batches).where(batches.c.at < now - _REMEMBERED))
    remember = _insert(session)(batches).values(batch=batch, at=now).on_conflict_do_nothing().returning(batches.c.batch)
    return (await session.execute(remember)).one_or_none() is not None


async def add(session: AsyncSession, rows: Sequence[UsageRow]) -> None:
    """Add sums to those that are stored, always in the same order, so that two nodes never wait for each other."""
    ordered = sorted(rows, key=lambda row: tuple(str(getattr(row, name)) for name in _PLACE))
    for row in ordered:
        adding = _insert(session)(hours).values(row.model_dump())
        summed = {name: hours.c[name] + adding.excluded[name] for name in _SUMS}
        await session.execute(adding.on_conflict_do_update(index_elements=_PLACE, set_=summed))


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
    """Sums of the hours from one moment to another, by `hour` or another column; of one user, or of everybody."""
    column = hours.c[group_by]
    query = select(column.label("group"), *(func.sum(hours.c[name]).label(name) for name in _SUMS))
    query = query.where(hours.c.hour >= since, hours.c.hour < until)
    if user_id is not None:
        query = query.where(hours.c.user_id == user_id)
    return list(await session.execute(query.group_by(column).order_by(column)))


def _insert(session: AsyncSession) -> Any:
    return (postgresql if session.get_bind().dialect.name == "postgresql" else sqlite).insert
