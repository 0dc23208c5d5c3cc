"""Every query about providers and the models of roles."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast, get_args

import orjson
from sqlalchemy import Row, delete, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from fireside.contracts.inference import ModelRole
from fireside.contracts.providers import ProviderFacts
from fireside.services.explore.tables import chains, providers


@dataclass(frozen=True, slots=True)
class StoredProvider:
    """A provider as it is stored; `sealed_key` is empty when it has no key."""

    facts: ProviderFacts
    sealed_key: bytes = b""
    key_end: str = ""


async def all_providers(session: AsyncSession) -> list[StoredProvider]:
    """Every provider, by name."""
    return [_provider(row) for row in await session.execute(select(providers).order_by(providers.c.name_key))]


async def find_provider(session: AsyncSession, name: str) -> StoredProvider | None:
    """The provider of that name, in any case; nobody else changes it until the transaction ends."""
    query = select(providers).where(providers.c.name_key == name.lower()).with_for_update()
    row = (await session.execute(query)).one_or_none()
    return _provider(row) if row is not None else None


async def put_provider(session: AsyncSession, provider: StoredProvider, *, now: datetime) -> None:
    """Store a provider in the place of the one of its name."""
    await drop_provider(session, provider.facts.name)
    values: dict[str, Any] = {
        "name_key": provider.facts.name.lower(),
        "facts": provider.facts.model_dump_json(),
        "sealed_key": provider.sealed_key,
        "key_end": provider.key_end,
        "updated_at": now,
    }
    await session.execute(insert(providers).values(values))


async def drop_provider(session: AsyncSession, name: str) -> None:
    """Forget a provider."""
    await session.execute(delete(providers).where(providers.c.name_key == name.lower()))


async def all_chains(session: AsyncSession) -> dict[ModelRole, tuple[str, ...]]:
    """The models of every role that has some; one that another version stored and this one does not know has none."""
    known = chains.c.role.in_(get_args(ModelRole))
    rows = await session.execute(select(chains).where(known).order_by(chains.c.role))
    return {cast("ModelRole", row.role): tuple(orjson.loads(row.models)) for row in rows}


async def put_chains(session: AsyncSession, wanted: Mapping[ModelRole, Sequence[str]]) -> None:
    """Store the models of these roles; none takes a role's chain away."""
    await session.execute(delete(chains).where(chains.c.role.in_(list(wanted))))
    for role, names in wanted.items():
        if names:
            values = {"role": role, "models": orjson.dumps(list(names)).decode()}
            await session.execute(insert(chains).values(values))


def _provider(row: Row[Any]) -> StoredProvider:
    return StoredProvider(ProviderFacts.model_validate_json(row.facts), bytes(row.sealed_key), row.key_end)
