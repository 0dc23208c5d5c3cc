"""State that is made of facts: read from the event log, from the newest snapshot on."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar
from uuid import UUID

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from fireside.ports.event_stream import EventEnvelope
from fireside.runtime.durable import event_log
from fireside.runtime.durable.tables import snapshots

StateT = TypeVar("StateT")

_KEEP_EVERY = 100


@dataclass(frozen=True, slots=True)
class Replayed(Generic[StateT]):
    """What an aggregate is after some of its facts.

    Attributes:
        state: It.
        version: How many facts it is made of; `expected_version` of the next.
    """

    state: StateT
    version: int


class Replay(Generic[StateT]):
    """Makes the state of aggregates of one kind from their facts."""

    def __init__(
        self,
        adapter: TypeAdapter[StateT],
        *,
        first: StateT,
        apply: Callable[[StateT, EventEnvelope], StateT],
        keep_every: int = _KEEP_EVERY,
    ) -> None:
        """Prepare.

        Args:
            adapter: Writes and reads a state as JSON. A snapshot that it cannot read, because the code has changed, is
                passed by.
            first: The state before any fact.
            apply: The state after one more fact.
            keep_every: After how many facts `keep` takes another snapshot.
        """
        self._adapter = adapter
        self._first = first
        self._apply = apply
        self._keep_every = keep_every

    async def state(
        self, session: AsyncSession, aggregate_id: UUID, *, until: datetime | None = None
    ) -> Replayed[StateT]:
        """What an aggregate is now; with `until`, what the facts stated by then made of it."""
        replayed, _ = await self._replay(session, aggregate_id, until)
        return replayed

    async def keep(self, session: AsyncSession, aggregate_id: UUID) -> Replayed[StateT]:
        """What an aggregate is now; leaves a snapshot when the last one is many facts old. For transactions."""
        replayed, entries = await self._replay(session, aggregate_id, None)
        if len(entries) >= self._keep_every:
            await session.execute(
                insert(snapshots).values(
                    aggregate_id=aggregate_id,
                    aggregate_version=replayed.version,
                    occurred_at=entries[-1].occurred_at,
                    state=self._adapter.dump_json(replayed.state).decode(),
                )
            )
        return replayed

    async def _replay(
        self, session: AsyncSession, aggregate_id: UUID, until: datetime | None
    ) -> tuple[Replayed[StateT], list[EventEnvelope]]:
        replayed = await self._snapshot(session, aggregate_id, until)
        entries = await event_log.history(session, aggregate_id, after=replayed.version, until=until)
        for entry in entries:
            replayed = Replayed(self._apply(replayed.state, entry), entry.aggregate_version)
        return replayed, entries

    async def _snapshot(self, session: AsyncSession, aggregate_id: UUID, until: datetime | None) -> Replayed[StateT]:
        query = select(snapshots).where(snapshots.c.aggregate_id == aggregate_id)
        if until is not None:
            query = query.where(snapshots.c.occurred_at <= until)
        query = query.order_by(snapshots.c.aggregate_version.desc()).limit(1)
        row = (await session.execute(query)).one_or_none()
        if row is not None:
            with suppress(ValidationError):
                return Replayed(self._adapter.validate_json(row.state), int(row.aggregate_version))
        return Replayed(self._first, 0)
