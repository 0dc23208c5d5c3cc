"""Facts to publish, somebody to receive them, and two services that state and handle them: for tests of streams."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import ClassVar
from uuid import UUID, uuid4

from fireside.contracts.base import Event
from fireside.core.errors import UnavailableError
from fireside.core.ids import EventId, UserId
from fireside.ports.event_stream import EventEnvelope, EventStream, EventStreamError
from fireside.runtime.context import Context
from fireside.runtime.durable import Database, DurableService, UnitOfWork, event_log
from fireside.runtime.mesh import on_event
from fireside.testing.durable import eventually


def envelope(sequence: int, *, about: UUID | None = None, topic: str = "ledger.entered") -> EventEnvelope:
    """A fact whose payload is its place in the log."""
    return EventEnvelope(
        id=EventId(uuid4()),
        topic=topic,
        source="ledger",
        sequence=sequence,
        aggregate_id=about or uuid4(),
        aggregate_version=sequence,
        occurred_at=datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
        actor_id=UserId(uuid4()),
        request_id="request-1",
        payload=f'{{"n":{sequence},"text":"Grüße ✓"}}',
    )


class Publisher:
    """Hands a log on as the relay does: to every destination from its own place, again until it is taken."""

    def __init__(self, stream: EventStream) -> None:
        self.log: list[EventEnvelope] = []
        self._stream = stream
        self._places: dict[str, int] = {}

    async def publish(self, *events: EventEnvelope) -> None:
        """Add to the log and hand on what can be handed on; a destination that refuses is left for later."""
        self.log.extend(events)
        await asyncio.gather(*(self._hand_on(destination) for destination in self._stream.destinations()))

    async def _hand_on(self, destination: str) -> None:
        batch = self.log[self._places.get(destination, 0) :]
        try:
            await self._stream.publish(destination, batch)
        except EventStreamError:
            return
        self._places[destination] = len(self.log)


class Collector:
    """Receives facts, and refuses while told to."""

    def __init__(self) -> None:
        self.received: list[EventEnvelope] = []
        self.refuse: Callable[[EventEnvelope], bool] = lambda _event: False
        self.refusals = 0

    async def receive(self, events: Sequence[EventEnvelope]) -> None:
        """Take all of the facts or none."""
        if any(self.refuse(event) for event in events):
            self.refusals += 1
            raise UnavailableError("not now")
        self.received.extend(events)

    @property
    def sequences(self) -> list[int]:
        """The facts by their places in the log, each where it came first."""
        return list(dict.fromkeys(event.sequence for event in self.received))


class Entered(Event):
    """Something was entered in a ledger."""

    topic: ClassVar[str] = "ledger.entered"
    account: UUID
    n: int

    @property
    def aggregate_id(self) -> UUID:
        """The account."""
        return self.account


class Audited(Entered):
    """An entry was looked at."""

    topic: ClassVar[str] = "auditor.audited"


class Ledger(DurableService):
    """States facts."""

    name = "ledger"

    async def enter(self, account: UUID, *numbers: int) -> None:
        """State a fact for each number, each in a transaction of its own."""
        for n in numbers:
            async with self.database.transaction() as unit:
                unit.emit(Entered(account=account, n=n))


class Auditor(DurableService):
    """Handles facts: states one of its own for each, so that what took effect can be counted."""

    name = "auditor"

    def __init__(self, *, database: Database) -> None:
        super().__init__(database=database)
        self.fail: Callable[[Entered], bool] = lambda _event: False
        self.attempts = 0

    @on_event(Entered)
    async def entered(self, _context: Context, event: Entered, unit: UnitOfWork) -> None:
        """Note the entry."""
        self.attempts += 1
        unit.emit(Audited(account=event.account, n=event.n))
        if self.fail(event):
            raise ValueError(event.n)

    async def effects(self, account: UUID) -> list[int]:
        """The numbers of an account that took effect, in order."""
        async with self.database.read() as session:
            history = await event_log.history(session, account)
        return [Audited.model_validate_json(entry.payload).n for entry in history]

    async def has_effects(self, account: UUID, *numbers: int) -> None:
        """Wait until these took effect, and no others."""

        async def look() -> bool | None:
            return True if await self.effects(account) == list(numbers) else None

        await eventually(look)
