"""The connections of one engine, handed out as sessions; when it is closed, none of them is left open.

SQLAlchemy closes those that lie idle in its pool. One that is in use then goes back to a pool that nobody has any
more, and stays open on the server until the garbage collector finds it. So closing waits for those in use. Those that
take too long are cut on PostgreSQL; on SQLite, which has nothing to cut, the last of them closes what is left.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any

import structlog
from sqlalchemy import Dialect, event
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from fireside.runtime.durable.backoff import retry_delay_s
from fireside.runtime.durable.failures import DatabaseRefusedError, DatabaseUnavailableError, translated_failures

log = structlog.stdlib.get_logger(__name__)


class Connections:
    """What one engine has opened.

    Attributes:
        engine: Where they come from.
    """

    def __init__(self, engine: AsyncEngine, *, service: str) -> None:
        self.engine = engine
        self._service = service
        self._opened: dict[int, Any] = {}
        self._in_use = 0
        self._closed = False
        self._cuts_off = engine.dialect.name == "postgresql"
        self._all_back = asyncio.Event()
        self._all_back.set()
        pool = engine.sync_engine
        event.listen(pool, "do_connect", self._connect)
        event.listen(pool, "close", self._forget)
        event.listen(pool, "close_detached", self._forget)

    @asynccontextmanager
    async def session(self, info: dict[Any, Any]) -> AsyncGenerator[AsyncSession]:
        """A session, ended with the block."""
        self._in_use += 1
        self._all_back.clear()
        try:
            async with AsyncSession(self.engine, expire_on_commit=False, info=info) as session:
                yield session
        finally:
            self._in_use -= 1
            if not self._in_use:
                self._all_back.set()
                if self._closed:
                    await self._disconnect()

    def check_not_cut(self) -> None:
        """See that what was done until now was done: the driver is silent about changes on a connection that was cut.

        Raises:
            DatabaseUnavailableError: The connection was cut.
        """
        if self._closed and self._cuts_off:
            raise DatabaseUnavailableError(
                f"{self._service}: the database was closed in the middle of a transaction", service=self._service
            )

    async def reach(self, *, within_s: float) -> None:
        """Wait until a connection can be made.

        Raises:
            DatabaseUnavailableError: None could be made in time.
        """
        deadline, failures = monotonic() + within_s, 0
        while True:
            try:
                with translated_failures(self._service):
                    async with self.engine.connect():
                        return
            except DatabaseRefusedError:
                raise
            except DatabaseUnavailableError as error:
                failures += 1
                wait_s = retry_delay_s(failures, first_s=0.1, longest_s=2.0)
                if monotonic() + wait_s > deadline:
                    raise
                log.warning("database_awaited", service=self._service, error=error.message)
                await asyncio.sleep(wait_s)

    async def close(self, *, within_s: float) -> None:
        """Disconnect.

        Args:
            within_s: How long to wait for sessions in use before they are cut.
        """
        try:
            async with asyncio.timeout(within_s):
                await self._all_back.wait()
        except TimeoutError:
            log.warning("sessions_not_ended", service=self._service, sessions=self._in_use, waited_s=within_s)
        finally:
            self._closed = True
            if self._cuts_off or not self._in_use:
                await self._disconnect()

    async def _disconnect(self) -> None:
        try:
            await self.engine.dispose()
        finally:
            left, self._opened = self._opened, {}
            for connection in left.values() if self._cuts_off else ():
                connection.terminate()

    def _connect(self, dialect: Dialect, _record: Any, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
        try:
            connection = dialect.connect(*arguments, **options)
        except OSError as error:
            raise DatabaseUnavailableError(
                f"{self._service}: the database cannot be reached", service=self._service
            ) from error
        self._opened[id(connection)] = connection
        return connection

    def _forget(self, connection: Any, *_record: Any) -> None:
        self._opened.pop(id(connection), None)
