"""Hands the facts of one service's log on to the event stream, in order, until each destination has them.

Two nodes may do this at once for one log: each hands on everything after the place that is written down, in order, so
every destination sees each fact for the first time in order, and inboxes drop what they have.
"""

import asyncio
from collections.abc import Sequence

import structlog
from sqlalchemy import func, select, update

from fireside.core.tasks import end
from fireside.ports.event_stream import EventEnvelope, EventStream
from fireside.runtime.context import Context
from fireside.runtime.durable import event_log
from fireside.runtime.durable.backoff import retry_delay_s
from fireside.runtime.durable.database import Database
from fireside.runtime.durable.job_table import insert_or_ignore
from fireside.runtime.durable.tables import events, relay_cursors
from fireside.runtime.durable.wakeups import wait_at_most

log = structlog.stdlib.get_logger(__name__)

_LOOK_FOR_DESTINATIONS_S = 0.25
_POLLS_OF_A_ROUTE = 15
"""A route that nothing wakes looks so much more seldom than the one that watches the end of the log for all."""


class Relay:
    """Carries one service's facts to each destination, none waiting for another.

    Attributes:
        troubles: What went wrong last at each destination that does not take facts at the moment.
    """

    def __init__(self, database: Database, stream: EventStream) -> None:
        self._database = database
        self._stream = stream
        self._routes: dict[str, tuple[asyncio.Task[None], asyncio.Event]] = {}
        self._keeper: asyncio.Task[None] | None = None
        self._watcher: asyncio.Task[None] | None = None
        self.troubles: dict[str, str] = {}

    async def start(self, context: Context) -> None:
        """Begin. The context is not needed: a relay asks nobody."""
        del context
        self._database.wakeups.listen("events", self._wake)
        self._keeper = asyncio.create_task(self._keep_routes())
        self._watcher = asyncio.create_task(self._watch())

    async def stop(self) -> None:
        """End. What was not handed on waits in the log."""
        self._database.wakeups.forget("events", self._wake)
        await end(self._keeper, self._watcher)
        await end(*(task for task, _ in self._routes.values()))
        self._routes.clear()

    def _wake(self) -> None:
        for _, wake in self._routes.values():
            wake.set()

    async def _watch(self) -> None:
        """Wake all routes when other nodes have stated something: one look for all destinations."""
        seen = 0
        while True:
            await asyncio.sleep(self._database.look_again_s)
            try:
                async with self._database.read() as session:
                    last = await event_log.last_sequence(session)
            except Exception:  # noqa: BLE001, S112 - an outermost loop; the routes meet it too, and say so
                continue
            if last != seen:
                seen = last
                self._wake()

    async def _keep_routes(self) -> None:
        while True:
            for destination in self._stream.destinations():
                route = self._routes.get(destination)
                if route is None or route[0].done():
                    wake = asyncio.Event()
                    self._routes[destination] = asyncio.create_task(self._carry(destination, wake)), wake
            await asyncio.sleep(_LOOK_FOR_DESTINATIONS_S)

    async def _carry(self, destination: str, wake: asyncio.Event) -> None:
        """Hand on to one destination for as long as there is one of this name."""
        place: int | None = None
        failures = 0
        while destination in self._stream.destinations():
            wake.clear()
            try:
                if place is None:
                    place = await self._place(destination)
                handed_on = await self._hand_on(destination, place)
                place, failures = max(place, handed_on), 0
                self.troubles.pop(destination, None)
                if not handed_on:
                    await wait_at_most(wake, self._database.settings.poll_s * _POLLS_OF_A_ROUTE)
            except Exception as error:  # noqa: BLE001 - the outermost loop of a route, which goes on
                failures += 1
                self.troubles[destination] = str(error)
                if failures == 1:
                    log.warning("facts_not_taken", destination=destination, error=str(error))
                await asyncio.sleep(retry_delay_s(failures, first_s=0.1, longest_s=self._database.settings.poll_s * 2))
        self.troubles.pop(destination, None)

    async def _hand_on(self, destination: str, place: int) -> int:
        """Hand on the next facts. Returns the place of the last, 0 when there were none."""
        topics = self._stream.destinations().get(destination)
        async with self._database.read() as session:
            batch = await event_log.read(session, after=place, topics=topics, limit=self._database.settings.batch)
        if not batch:
            return 0
        self._database.probe("before publish")
        await self._stream.publish(destination, batch)
        self._database.probe("after publish")
        await self._note(destination, batch)
        return batch[-1].sequence

    async def _place(self, destination: str) -> int:
        async with self._database.read() as session:
            query = select(relay_cursors.c.sequence).where(relay_cursors.c.destination == destination)
            return int((await session.execute(query)).scalar_one_or_none() or 0)

    async def _note(self, destination: str, batch: Sequence[EventEnvelope]) -> None:
        last = batch[-1].sequence
        async with self._database.transaction() as unit:
            await unit.session.execute(
                insert_or_ignore(unit.session, relay_cursors), {"destination": destination, "sequence": 0}
            )
            further = relay_cursors.c.destination == destination, relay_cursors.c.sequence < last
            await unit.session.execute(update(relay_cursors).where(*further).values(sequence=last))
            fresh = events.c.sequence.in_([event.sequence for event in batch]), events.c.published_at.is_(None)
            now = self._database.clock.now()
            await unit.session.execute(update(events).where(*fresh).values(published_at=now))
        self._database.probe("facts noted as published")

    async def waiting(self) -> dict[str, int]:
        """How many facts each destination has yet to be given."""
        async with self._database.read() as session:
            counts = dict[str, int]()
            for destination, topics in self._stream.destinations().items():
                place = select(relay_cursors.c.sequence).where(relay_cursors.c.destination == destination)
                query = select(func.count()).where(
                    events.c.sequence > func.coalesce(place.scalar_subquery(), 0),
                    *(() if topics is None else (events.c.topic.in_(topics),)),
                )
                counts[destination] = int((await session.execute(query)).scalar_one())
        return counts
