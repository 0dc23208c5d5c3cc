"""Receives facts for one service and has each handled once in effect, in order per aggregate.

A received fact is stored before it is acknowledged. Its handler then runs inside one transaction with the note that it
was handled. A handler that fails is tried again with growing waits, holding up only the facts of the same aggregate,
and in the end the fact becomes a dead letter.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

import structlog
from pydantic import ValidationError
from sqlalchemy import Row

from fireside.contracts.base import Event
from fireside.core.identity import service_identity
from fireside.core.tasks import end
from fireside.ports.event_stream import EventEnvelope, EventStream, Subscription
from fireside.runtime.context import Context
from fireside.runtime.durable import inbox_store
from fireside.runtime.durable.backoff import retry_delay_s
from fireside.runtime.durable.database import Database
from fireside.runtime.durable.error_facts import error_facts
from fireside.runtime.durable.origin import owner_identity
from fireside.runtime.durable.unit_of_work import UnitOfWork
from fireside.runtime.durable.wakeups import wait_at_most
from fireside.runtime.logging import current_call

log = structlog.stdlib.get_logger(__name__)

EventMethod = Callable[[Context, Any, UnitOfWork], Awaitable[None]]

_LOOK_AHEAD = 32


class Inbox:
    """The facts that one service wants to know, under its name as consumer group."""

    def __init__(
        self, database: Database, stream: EventStream, methods: Sequence[tuple[type[Event], EventMethod]]
    ) -> None:
        self._database = database
        self._stream = stream
        self._group = database.service
        self._events = {event.topic: event for event, _ in methods}
        self._methods = {topic: [method for event, method in methods if event.topic == topic] for topic in self._events}
        self._at_once = database.parallel_writers
        self._wake = asyncio.Event()
        self._handling: dict[Any, asyncio.Task[None]] = {}
        self._loop: asyncio.Task[None] | None = None
        self._subscription: Subscription | None = None

    async def start(self, context: Context) -> None:
        """Begin: first with the facts that were received and not handled."""
        self._database.wakeups.listen("inbox", self._wake.set)
        self._loop = asyncio.create_task(self._handle_all(context))
        self._subscription = await self._stream.subscribe(self._group, frozenset(self._events), self.receive)

    async def stop(self) -> None:
        """End. Handlers in the middle of something are stopped and run again from the beginning later."""
        self._database.wakeups.forget("inbox", self._wake.set)
        if self._subscription is not None:
            await self._subscription.close()
        await end(self._loop)
        await end(*self._handling.values())

    async def receive(self, envelopes: Sequence[EventEnvelope]) -> None:
        """Store facts. When this returns they need not be delivered again.

        Raises:
            DatabaseUnavailableError: They could not be stored.
        """
        self._database.probe("before receive")
        async with self._database.transaction() as unit:
            await inbox_store.add(unit.session, self._group, envelopes, now=self._database.clock.now())
        self._database.probe("after receive")
        self._wake.set()

    async def _handle_all(self, root: Context) -> None:
        failures = 0
        while True:
            self._wake.clear()
            try:
                wait_s, failures = await self._begin_due(root), 0
            except Exception as error:  # noqa: BLE001 - the outermost loop of the inbox, which goes on
                failures += 1
                wait_s = retry_delay_s(failures, first_s=0.1, longest_s=self._database.settings.poll_s * 5)
                log.warning("inbox_not_read", service=self._group, error=str(error))
            await wait_at_most(self._wake, wait_s)

    async def _begin_due(self, root: Context) -> float:
        """Start handling what is due, as far as there is room. Returns how long there is nothing more to start."""
        room = self._at_once - len(self._handling)
        if room <= 0:
            return self._database.look_again_s
        async with self._database.read() as session:
            limit = _LOOK_AHEAD + len(self._handling)
            line = await inbox_store.next_in_line(session, self._group, self._methods, limit=limit)
        now = self._database.clock.now()
        for row in line:
            if row.aggregate_id in self._handling:
                continue
            if row.run_at > now:
                return min(self._database.look_again_s, (row.run_at - now).total_seconds())
            if room <= 0:
                break
            room -= 1
            self._begin(root, row)
        return self._database.look_again_s

    def _begin(self, root: Context, row: Row[Any]) -> None:
        task = asyncio.create_task(self._handle(root, row), name=f"fact {row.event_id}")
        self._handling[row.aggregate_id] = task

        def ended(_task: asyncio.Task[None]) -> None:
            self._handling.pop(row.aggregate_id, None)
            self._wake.set()

        task.add_done_callback(ended)

    async def _handle(self, root: Context, row: Row[Any]) -> None:
        identity = service_identity(self._group, on_behalf_of=owner_identity(row.actor_id))
        request_id = row.request_id or root.request_id
        context = replace(root, identity=identity, request_id=request_id, action=row.topic, deadline=None)
        current_call.set(context)
        try:
            async with (
                asyncio.timeout(self._database.settings.event_timeout_s),
                self._database.transaction(context) as unit,
            ):
                await self._handle_once(context, row, unit)
        except Exception as error:  # noqa: BLE001 - a handler may raise anything; it is noted and tried again
            await self._note_failure(row, error)

    async def _handle_once(self, context: Context, row: Row[Any], unit: UnitOfWork) -> None:
        if not await inbox_store.take(unit.session, row.position, now=self._database.clock.now()):
            return
        self._database.probe("fact taken")
        event = self._events[row.topic].model_validate_json(row.payload)
        for method in self._methods[row.topic]:
            await method(context, event, unit)
        self._database.probe("fact handled")

    async def _note_failure(self, row: Row[Any], error: Exception) -> None:
        settings = self._database.settings
        last = row.attempts + 1 >= settings.event_attempts or isinstance(error, ValidationError)
        log.warning(
            "fact_not_handled",
            service=self._group,
            topic=row.topic,
            event_id=str(row.event_id),
            attempt=row.attempts + 1,
            last=last,
            exc_info=error,
        )
        delay_s = retry_delay_s(row.attempts + 1, first_s=settings.retry_s, longest_s=settings.max_retry_s)
        now = self._database.clock.now()
        try:
            async with self._database.transaction() as unit:
                if last:
                    facts = error_facts(error, timeout_s=settings.event_timeout_s)
                    await inbox_store.give_up(unit.session, row, error=facts, now=now)
                else:
                    await inbox_store.postpone(unit.session, row, now=now, delay_s=delay_s)
        except Exception as failure:  # noqa: BLE001 - the database is away: the fact waits where it is
            log.warning("fact_failure_not_noted", event_id=str(row.event_id), error=str(failure))
            await asyncio.sleep(min(delay_s, settings.poll_s))
