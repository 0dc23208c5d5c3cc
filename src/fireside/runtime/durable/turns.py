"""So many transactions at once, and only one in a task."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from fireside.core.errors import InternalError
from fireside.runtime.durable.failures import DatabaseUnavailableError


class NestedTransactionError(InternalError):
    """A transaction was begun inside another of the same database: pass the unit of work on instead."""

    code = "nested_transaction"


class Turns:
    """Who may write."""

    def __init__(self, at_once: int, *, service: str, wait_s: float) -> None:
        self._free = asyncio.Semaphore(at_once)
        self._at_once = at_once
        self._service = service
        self._wait_s = wait_s
        self._holders: set[asyncio.Task[object]] = set()

    @asynccontextmanager
    async def turn(self) -> AsyncGenerator[None]:
        """Wait for a turn and keep it for the block.

        Raises:
            DatabaseUnavailableError: It did not come in time.
            NestedTransactionError: This task has one.
        """
        task = asyncio.current_task()
        if task is None or task in self._holders:
            raise NestedTransactionError(service=self._service)
        await self._come()
        self._holders.add(task)
        try:
            yield
        finally:
            self._holders.discard(task)
            self._free.release()

    async def _come(self) -> None:
        try:
            async with asyncio.timeout(self._wait_s):
                await self._free.acquire()
        except TimeoutError as error:
            raise DatabaseUnavailableError(
                f"{self._service}: {self._at_once} transactions are going on, and none ended for {self._wait_s:g} s",
                service=self._service,
            ) from error
