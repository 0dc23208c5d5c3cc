"""Every query of the explore service."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Row, Table, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from fireside.contracts.explore import RunOptions
from fireside.core.ids import JobId
from fireside.services.explore.model import StoredModel, StoredRule, name_key
from fireside.services.explore.tables import files, models, pauses, rules

_LISTS = ("languages", "categories", "tags")


async def add_file(session: AsyncSession, digest: str, size_bytes: int) -> None:
    """Note a file that is about to have a name, and hold it: nobody removes it until the transaction ends."""
    await _insert_missing(session, files, {"digest": digest, "size_bytes": size_bytes})
    await session.execute(select(files).where(files.c.digest == digest).with_for_update())


async def drop_file(session: AsyncSession, digest: str) -> bool:
    """Forget a file that has no name any more; says whether it has none."""
    await session.execute(select(files).where(files.c.digest == digest).with_for_update())
    named = (await session.execute(select(models.c.id).where(models.c.digest == digest).limit(1))).one_or_none()
    if named is None:
        await session.execute(delete(files).where(files.c.digest == digest))
    return named is None


async def add_model(session: AsyncSession, model: StoredModel) -> None:
    """Store a model.

    Raises:
        IntegrityError: The name is taken.
    """
    values = {name: getattr(model, name) for name in StoredModel.__slots__}
    lists = {name: _packed(values[name]) for name in _LISTS}
    await session.execute(insert(models).values(values | lists | {"name_key": name_key(model.name)}))


async def remove_model(session: AsyncSession, name: str) -> StoredModel | None:
    """Take a model away and return it; None when there is none of that name."""
    found = await find_model(session, name, lock=True)
    if found is not None:
        await session.execute(delete(models).where(models.c.id == found.id))
    return found


async def find_model(session: AsyncSession, name: str, *, lock: bool = False) -> StoredModel | None:
    """The installed model of that name, in any case."""
    query = select(models).where(models.c.name_key == name_key(name))
    row = (await session.execute(query.with_for_update() if lock else query)).one_or_none()
    return _model(row) if row is not None else None


async def find_installed_since(session: AsyncSession, source: str, moment: datetime) -> StoredModel | None:
    """A model from exactly this source that was installed at this moment or later."""
    query = select(models).where(models.c.source == source, models.c.installed_at >= moment).limit(1)
    row = (await session.execute(query)).one_or_none()
    return _model(row) if row is not None else None


async def all_models(session: AsyncSession) -> list[StoredModel]:
    """Every installed model, by name."""
    return [_model(row) for row in await session.execute(select(models).order_by(models.c.name_key))]


async def all_rules(session: AsyncSession) -> dict[str, StoredRule]:
    """Every rule, by the key of its model's name."""
    return {row.name_key: _rule(row) for row in await session.execute(select(rules))}


async def find_rule(session: AsyncSession, name: str) -> StoredRule:
    """What was said about a model; the rule of one of which nothing was said."""
    row = (await session.execute(select(rules).where(rules.c.name_key == name_key(name)))).one_or_none()
    return _rule(row) if row is not None else StoredRule(name)


async def put_rule(session: AsyncSession, rule: StoredRule, *, now: datetime) -> None:
    """Store a rule; one that makes its model the default takes that from all others."""
    if rule.is_default:
        await session.execute(update(rules).where(rules.c.is_default).values(is_default=False))
    values: dict[str, Any] = {
        "name": rule.name,
        "enabled": rule.enabled,
        "roles": None if rule.roles is None else _packed(rule.roles),
        "tags": None if rule.tags is None else _packed(rule.tags),
        "is_default": rule.is_default,
        "run": rule.run.model_dump_json(exclude_defaults=True),
        "updated_at": now,
    }
    key = name_key(rule.name)
    await _insert_missing(session, rules, values | {"name_key": key})
    await session.execute(update(rules).where(rules.c.name_key == key).values(values))


async def drop_rule(session: AsyncSession, name: str) -> None:
    """Forget what was said about a model."""
    await session.execute(delete(rules).where(rules.c.name_key == name_key(name)))


async def pause(session: AsyncSession, job_id: JobId) -> None:
    """Note that an installation shall wait."""
    await _insert_missing(session, pauses, {"job_id": job_id})


async def resume(session: AsyncSession, job_id: UUID) -> None:
    """Note that an installation shall go on."""
    await session.execute(delete(pauses).where(pauses.c.job_id == job_id))


async def is_paused(session: AsyncSession, job_id: JobId) -> bool:
    """Whether an installation shall wait."""
    return (await session.execute(select(pauses).where(pauses.c.job_id == job_id))).one_or_none() is not None


async def _insert_missing(session: AsyncSession, table: Table, row: Mapping[str, Any]) -> None:
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    await session.execute(dialect.insert(table).values(dict(row)).on_conflict_do_nothing())


def _model(row: Row[Any]) -> StoredModel:
    values: dict[str, Any] = {name: getattr(row, name) for name in StoredModel.__slots__}
    values.update({name: _unpacked(values[name]) for name in _LISTS})
    return StoredModel(**values)


def _rule(row: Row[Any]) -> StoredRule:
    return StoredRule(
        name=row.name,
        enabled=row.enabled,
        roles=None if row.roles is None else _unpacked(row.roles),
        tags=None if row.tags is None else _unpacked(row.tags),
        is_default=row.is_default,
        run=RunOptions.model_validate_json(row.run or "{}"),
    )


def _packed(items: Sequence[str]) -> str:
    return orjson.dumps(list(items)).decode()


def _unpacked(text: str) -> tuple[str, ...]:
    return tuple(orjson.loads(text))
