"""One transaction of a service: its rows, the facts it states and the jobs it asks for, all or none of them."""

from datetime import timedelta

import orjson
from sqlalchemy.ext.asyncio import AsyncSession

from fireside.contracts.base import Contract, Event
from fireside.core.clock import Clock
from fireside.core.ids import EventId, JobId, UserId, new_id
from fireside.ports.stated_fact import StatedFact
from fireside.runtime.durable import event_log, job_table
from fireside.runtime.durable.event_log import PendingEvent
from fireside.runtime.durable.job import Job, PayloadT
from fireside.runtime.durable.job_table import PendingJob, keyed_id
from fireside.runtime.durable.origin import Origin
from fireside.runtime.durable.wakeups import Work


class UnitOfWork:
    """What one transaction does. Made by `Database.transaction`.

    Attributes:
        session: For the service's own tables.
    """

    def __init__(self, session: AsyncSession, *, service: str, clock: Clock, origin: Origin) -> None:
        self.session = session
        self._service = service
        self._clock = clock
        self._origin = origin
        self._events: list[PendingEvent] = []
        self._jobs: list[PendingJob] = []

    def emit(self, event: Event, *, expected_version: int | None = None) -> None:
        """State a fact: written at the commit, delivered after it.

        Args:
            event: The fact.
            expected_version: How many facts about this aggregate the caller has seen; the commit fails with
                `VersionConflictError` when there are others by then. None does not look.
        """
        self._events.append(
            PendingEvent(
                id=EventId(new_id()),
                topic=event.topic,
                aggregate_id=event.aggregate_id,
                payload=event.model_dump(mode="json"),
                origin=self._origin,
                occurred_at=self._clock.now(),
                expected_version=expected_version,
            )
        )

    def move(self, fact: StatedFact) -> None:
        """Write a fact that was stated in another store into the log, unless it stands there already."""
        self._events.append(
            PendingEvent(
                id=fact.id,
                topic=fact.topic,
                aggregate_id=fact.aggregate_id,
                payload=orjson.loads(fact.payload),
                origin=Origin(fact.actor_id, fact.request_id),
                occurred_at=fact.occurred_at,
                is_moved=True,
            )
        )

    def enqueue(
        self,
        job: Job[PayloadT],
        payload: PayloadT,
        *,
        owner_id: UserId | None,
        key: str | None = None,
        delay_s: float = 0.0,
    ) -> JobId:
        """Ask for long work: begun after the commit.

        Args:
            job: The kind.
            payload: What to do.
            owner_id: The user who may see and cancel it; None for managers of jobs alone.
            key: At most one live job of this kind has it. While there is one, its id is returned and nothing is
                added. Once it has ended, the same id begins anew.
            delay_s: Not before so many seconds from now.
        """
        now = self._clock.now()
        job_id = JobId(new_id()) if key is None else keyed_id(job.kind, key)
        self._jobs.append(
            PendingJob(
                id=job_id,
                kind=job.kind,
                key=key,
                payload=_json(payload),
                owner_id=owner_id,
                origin=self._origin,
                created_at=now,
                run_at=now + timedelta(seconds=delay_s),
            )
        )
        return job_id

    @property
    def work(self) -> list[Work]:
        """What there is to do once this is committed."""
        kinds: list[tuple[Work, bool]] = [("events", bool(self._events)), ("jobs", bool(self._jobs))]
        return [kind for kind, present in kinds if present]

    async def write(self) -> None:
        """Write what was stated and asked for into the transaction. `Database.transaction` does this at its end."""
        await self.session.flush()
        await job_table.add(self.session, self._jobs)
        await event_log.append(self.session, self._events, service=self._service)


def _json(payload: Contract) -> str:
    return payload.model_dump_json()
