"""The database of one service: transactions, reading, migrations. Wakes relay and worker when a commit has work."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from sqlalchemy import select, text, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from fireside.core.clock import Clock, SystemClock
from fireside.core.errors import ConflictError, FiresideError, InternalError
from fireside.ports.event_stream import EventStream
from fireside.runtime.context import Context
from fireside.runtime.durable import event_log
from fireside.runtime.durable.chain import FIRST_HASH
from fireside.runtime.durable.connections import Connections
from fireside.runtime.durable.engine import empty_write_ahead_log, reading_engine, writing_engine
from fireside.runtime.durable.event_log import ChainBreak
from fireside.runtime.durable.failures import DatabaseReadOnlyError, DatabaseUnavailableError, translated_failures
from fireside.runtime.durable.job_table import insert_or_ignore
from fireside.runtime.durable.migrating import downgrade, present_revisions, upgrade
from fireside.runtime.durable.origin import origin_of
from fireside.runtime.durable.probe import Probe, no_probe
from fireside.runtime.durable.revisions import DURABLE_MIGRATIONS, newest_revisions
from fireside.runtime.durable.settings import DurableSettings
from fireside.runtime.durable.tables import event_head
from fireside.runtime.durable.turns import Turns
from fireside.runtime.durable.unit_of_work import UnitOfWork
from fireside.runtime.durable.urls import database_address
from fireside.runtime.durable.wakeups import Wakeups
from fireside.runtime.health import Check

_POLLS_OF_ONE_NODE = 15
"""Where one node alone writes, it looks so much more seldom: clocks may be set, and nothing shall wait for ever."""


class ForeignDatabaseError(ConflictError):
    """The database belongs to another service."""

    code = "foreign_database"


class Database:
    """One service's tables, log of facts and jobs.

    Attributes:
        service: Whose database this is.
        stream: Where its facts go and others' come from; None keeps them in the log.
        clock: Tells the time to everything that is written.
        settings: Times and limits.
        wakeups: Told of facts and jobs as soon as they are committed.
        probe: Called at named points of a commit and of a job's life; for tests that end the process there.
    """

    def __init__(
        self,
        url: str,
        *,
        service: str,
        migrations: Path | None = None,
        stream: EventStream | None = None,
        settings: DurableSettings | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Describe a database; nothing is opened yet.

        Args:
            url: `sqlite:///path/to/file.sqlite`, or `postgresql://...` with a schema named after the service.
            service: Name of the service.
            migrations: Folder of its migrations; None when it has no tables of its own.
            stream: Carries facts between services.
            settings: Times and limits.
            clock: Tells the time.
        """
        self.service = service
        self.stream = stream
        self.settings = settings or DurableSettings()
        self.clock = clock or SystemClock()
        self.probe: Probe = no_probe
        self.wakeups = Wakeups()
        self._address = database_address(url, service=service)
        self._folders = [DURABLE_MIGRATIONS, *([migrations] if migrations else [])]
        self._writer: Connections | None = None
        self._reader: Connections | None = None
        self._turns = Turns(self.parallel_writers, service=service, wait_s=self.settings.pool_wait_s)
        self._refusal: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether it can be used."""
        return self._writer is not None

    @property
    def parallel_writers(self) -> int:
        """How many transactions can go on at once: one on SQLite."""
        return self.settings.writers if self._address.path is None else 1

    @property
    def look_again_s(self) -> float:
        """How long to wait for word of work before it is looked for: other nodes give none, but on SQLite are none."""
        return self.settings.poll_s * (1 if self._address.path is None else _POLLS_OF_ONE_NODE)

    async def open(self) -> None:
        """Connect and bring the tables up to date. Does nothing when it is open.

        Raises:
            DatabaseUnavailableError: It cannot be reached or written.
            ForeignDatabaseError: It belongs to another service.
            NewerSchemaError: It was written by a newer version.
        """
        if self.is_open:
            return
        if self._address.path is not None:
            self._address.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._writer = Connections(writing_engine(self._address, self.settings), service=self.service)
        self._reader = Connections(reading_engine(self._address, self.settings), service=self.service)
        try:
            await self._writer.reach(within_s=0.0 if self._address.path else self.settings.start_wait_s)
            with translated_failures(self.service):
                await self._migrate()
                await self._claim()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Disconnect, once what is in use is done or too slow. Does nothing when it is closed."""
        both, self._writer, self._reader = (self._writer, self._reader), None, None
        closing = [part.close(within_s=self.settings.close_s) for part in both if part is not None]
        await asyncio.gather(*closing)

    async def downgrade(self, revision: str) -> None:
        """Take migrations back until the revision; for repairs and tests, with everything else stopped."""
        await downgrade(self._address, self.settings, self._folders, revision)

    @asynccontextmanager
    async def transaction(self, context: Context | None = None) -> AsyncGenerator[UnitOfWork]:
        """A transaction: committed at the end of the block, rolled back when it raises.

        Keep it short, and wait for nothing but the database inside: on SQLite all other writers of the service wait.

        Args:
            context: Who causes the change; written beside every fact and job. The call that is being served when
                None.

        Raises:
            DatabaseUnavailableError: Locked, busy or gone.
            DatabaseReadOnlyError: Full, or not to be written; reading goes on.
            IntegrityError: A constraint of a table was broken (SQLAlchemy's; repositories give it a meaning).
            VersionConflictError: A fact expected another version of its aggregate.
            NestedTransactionError: This task is inside another transaction of this database.
        """
        with translated_failures(self.service, read_only=self._refused):
            writer = self._opened(self._writer)
            async with self._turns.turn(), self._session(writer) as session:
                async with session.begin():
                    unit = UnitOfWork(session, service=self.service, clock=self.clock, origin=origin_of(context))
                    yield unit
                    await unit.write()
                    self.probe("before commit")
                writer.check_not_cut()
                self.probe("after commit")
        self._refusal = None
        for work in unit.work:
            self.wakeups.wake(work)

    @asynccontextmanager
    async def read(self) -> AsyncGenerator[AsyncSession]:
        """A session that can only read.

        Raises:
            DatabaseUnavailableError: Gone, or damaged.
        """
        with translated_failures(self.service):
            async with self._session(self._reader) as session:
                yield session

    async def clear_traces(self) -> None:
        """Leave nothing of erased rows in SQLite's files; a server sees to its own.

        Raises:
            DatabaseUnavailableError: Somebody reads what was there before; try again.
        """
        if self._address.path is None:
            return
        with translated_failures(self.service):
            writer = self._opened(self._writer)
            async with self._turns.turn(), self._session(writer):
                if not await empty_write_ahead_log(writer.engine):
                    raise DatabaseUnavailableError(f"{self.service}: erased rows are still read", service=self.service)

    async def verify_chain(self) -> ChainBreak | None:
        """The first entry of the log that is missing or not as it was written; None when all are."""
        async with self.read() as session:
            return await event_log.find_chain_break(session)

    async def check(self) -> Check:
        """Whether the database answers, and takes changes."""
        began = self.clock.monotonic()
        try:
            async with self.read() as session:
                await session.execute(text("SELECT 1"))
            await self._try_to_write()
        except DatabaseReadOnlyError as error:
            return Check("degraded", f"read-only: {error.message}")
        except (FiresideError, SQLAlchemyError) as error:
            return Check("failed", str(error))
        return Check("ok", latency_ms=(self.clock.monotonic() - began) * 1000)

    async def _try_to_write(self) -> None:
        """See that changes are taken: a PostgreSQL server is asked, a refusal is tried again.

        Raises:
            DatabaseReadOnlyError: They are not.
        """
        if self._address.path is None:
            with translated_failures(self.service):
                async with self._session(self._writer) as session:
                    if (await session.execute(text("SHOW transaction_read_only"))).scalar_one() == "on":
                        raise DatabaseReadOnlyError(
                            f"{self.service}: the server takes no changes", service=self.service
                        )
        if self._refusal is not None:
            async with self.transaction() as unit:
                await unit.session.execute(update(event_head).values(sequence=event_head.c.sequence))

    def _refused(self, error: DatabaseReadOnlyError) -> None:
        self._refusal = error.message

    def _session(self, connections: Connections | None) -> AbstractAsyncContextManager[AsyncSession]:
        return self._opened(connections).session({event_log.SOURCE: self.service})

    def _opened(self, connections: Connections | None) -> Connections:
        if connections is None:
            raise InternalError(f"the database of {self.service} is not open")
        return connections

    async def _migrate(self) -> None:
        expected = newest_revisions(self._folders)
        if await present_revisions(self._opened(self._writer).engine) != expected:
            await upgrade(self._address, self.settings, self._folders)

    async def _claim(self) -> None:
        owner = await self._owner()
        if owner is None:
            async with self.transaction() as unit:
                first = {"id": 1, "service": self.service, "sequence": 0, "hash": FIRST_HASH}
                await unit.session.execute(insert_or_ignore(unit.session, event_head), first)
            owner = await self._owner()
        if owner != self.service:
            raise ForeignDatabaseError(
                f"this database belongs to the service {owner}, not {self.service}: give each its own file, "
                "for example sqlite:///folder/",
                service=owner,
            )

    async def _owner(self) -> str | None:
        async with self.read() as session:
            return (await session.execute(select(event_head.c.service))).scalar_one_or_none()
