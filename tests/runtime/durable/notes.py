"""A small service that the tests of the durable core stand on."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, ClassVar
from uuid import UUID, uuid4

from sqlalchemy import Column, MetaData, Table, Text, Uuid, func, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from fireside.contracts.base import Contract, Event
from fireside.core.identity import Identity, user_identity
from fireside.core.ids import UserId
from fireside.runtime.context import Context
from fireside.runtime.durable import Database, DurableService, Job, JobRun, UnitOfWork, UtcDateTime, on_job
from fireside.runtime.mesh import on_event

MIGRATIONS = Path(__file__).parent / "notes_migrations"

notes = Table(
    "notes",
    MetaData(),
    Column("id", Uuid, primary_key=True),
    Column("text", Text, nullable=False, unique=True),
    Column("written_at", UtcDateTime),
)


class Noted(Event):
    topic: ClassVar[str] = "notes.noted"
    note_id: UUID
    text: str = ""

    @property
    def aggregate_id(self) -> UUID:
        return self.note_id


class Struck(Noted):
    topic: ClassVar[str] = "notes.struck"


class Scribe(Contract):
    text: str = ""
    steps: int = 0


SCRIBE = Job("notes.scribe", Scribe, max_attempts=3, concurrency=2)
SINGLE = Job("notes.single", Scribe, max_attempts=1)
BRIEF = Job("notes.brief", Scribe, max_attempts=1, timeout_s=0.05)

JobBody = Callable[[Context, JobRun, Scribe], Awaitable[dict[str, Any] | None]]
EventBody = Callable[[Context, Noted, UnitOfWork], Awaitable[None]]


class NotesService(DurableService):
    """Does with a job or a fact what the test says."""

    name = "notes"

    def __init__(self, *, database: Database, job: JobBody | None = None, event: EventBody | None = None) -> None:
        super().__init__(database=database)
        self._job, self._event = job, event

    @on_job(SCRIBE)
    async def scribe(self, context: Context, run: JobRun, payload: Scribe) -> dict[str, Any] | None:
        return await self._job(context, run, payload) if self._job else None

    @on_job(SINGLE)
    async def single(self, context: Context, run: JobRun, payload: Scribe) -> dict[str, Any] | None:
        return await self.scribe(context, run, payload)

    @on_job(BRIEF)
    async def brief(self, context: Context, run: JobRun, payload: Scribe) -> dict[str, Any] | None:
        return await self.scribe(context, run, payload)

    @on_event(Noted)
    async def noted(self, context: Context, event: Noted, unit: UnitOfWork) -> None:
        if self._event:
            await self._event(context, event, unit)

    @on_event(Struck)
    async def struck(self, context: Context, event: Struck, unit: UnitOfWork) -> None:
        await self.noted(context, event, unit)


def someone(*permissions: str) -> Identity:
    return user_identity(UserId(uuid4()), roles=(), permissions=permissions)


async def write_note(session: AsyncSession, text: str, **columns: Any) -> UUID:
    note_id = uuid4()
    await session.execute(insert(notes), {"id": note_id, "text": text, **columns})
    return note_id


async def texts(database: Database) -> list[str]:
    async with database.read() as session:
        return list((await session.execute(select(notes.c.text).order_by(notes.c.text))).scalars())


async def count(session: AsyncSession) -> int:
    return int((await session.execute(select(func.count()).select_from(notes))).scalar_one())
