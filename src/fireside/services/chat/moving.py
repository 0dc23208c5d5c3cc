"""Moves the facts of a separate conversation store into the log of the service, from where they go their usual way.

A fact that was written into the log is forgotten by the store afterwards. When the process ends in between, it is found
again, and the log knows its id. Several nodes may do this at once.
"""

import asyncio

import structlog

from fireside.core.tasks import end
from fireside.ports.separate_conversation_store import SeparateConversationStore
from fireside.runtime.context import Context
from fireside.runtime.durable import Database
from fireside.runtime.durable.backoff import retry_delay_s
from fireside.runtime.durable.wakeups import wait_at_most

log = structlog.stdlib.get_logger(__name__)


class FactMover:
    """Runs beside the service.

    Attributes:
        trouble: What went wrong last; empty while facts are moved.
    """

    def __init__(self, store: SeparateConversationStore, database: Database) -> None:
        self._store = store
        self._database = database
        self._wake = asyncio.Event()
        self._loop: asyncio.Task[None] | None = None
        self.trouble = ""
        store.when_stated(self._wake.set)

    async def start(self, context: Context) -> None:
        """Begin, with what an earlier start left. The context is not needed: nobody is asked."""
        del context
        self._loop = asyncio.create_task(self._move_all())

    async def stop(self) -> None:
        """End. What was not moved waits in the store."""
        await end(self._loop)

    async def _move_all(self) -> None:
        failures = 0
        longest_s = self._database.settings.poll_s
        while True:
            self._wake.clear()
            try:
                moved = await self._move_some()
                failures, self.trouble = 0, ""
            except Exception as error:  # noqa: BLE001 - the outermost loop of the mover, which goes on
                failures += 1
                self.trouble = str(error)
                log.warning("facts_not_moved", service=self._database.service, error=self.trouble)
                await asyncio.sleep(retry_delay_s(failures, first_s=0.1, longest_s=longest_s * 2))
                continue
            if not moved:
                await wait_at_most(self._wake, longest_s)

    async def _move_some(self) -> int:
        facts = await self._store.waiting_facts(limit=self._database.settings.batch)
        if facts:
            async with self._database.transaction() as unit:
                for fact in facts:
                    unit.move(fact)
            self._database.probe("facts moved")
            await self._store.forget_facts([fact.id for fact in facts])
        return len(facts)
