import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, update
from structlog.testing import capture_logs

from fireside.adapters.event_stream.outbox import OutboxEventStream
from fireside.contracts.jobs import DeadLetter, DeadLetterRef, ListDeadLetters, jobs_of
from fireside.core.identity import Identity
from fireside.ports.event_stream import EventEnvelope, EventStreamError
from fireside.runtime.context import Context
from fireside.runtime.durable import Database, UnitOfWork, event_log, inbox_store, relay
from fireside.runtime.durable.tables import events, inbox
from fireside.runtime.mesh import Node
from fireside.testing.durable import QUICK, eventually
from fireside.testing.mesh import local_node
from tests.runtime.durable.conftest import MakeDatabase
from tests.runtime.durable.notes import MIGRATIONS, EventBody, Noted, NotesService, Struck, someone, texts, write_note

ACTIONS = jobs_of("notes")


@asynccontextmanager
async def running(database: Database, body: EventBody | None = None) -> AsyncIterator[Node]:
    """A node whose one service handles its own facts as the body says."""
    async with local_node(NotesService(database=database, event=body)) as node:
        yield node


async def keep_text(_context: Context, event: Noted, unit: UnitOfWork) -> None:
    await write_note(unit.session, event.text)


async def state(database: Database, *events: Noted, context: Context | None = None) -> None:
    for event in events:
        async with database.transaction(context) as unit:
            unit.emit(event)


def noted(*texts: str, about: UUID | None = None) -> list[Noted]:
    note_id = about or uuid4()
    return [Noted(note_id=note_id, text=text) for text in texts]


async def has_texts(database: Database, *expected: str) -> None:
    async def look() -> bool | None:
        return True if await texts(database) == sorted(expected) else None

    await eventually(look)


async def dead_letters(node: Node) -> tuple[DeadLetter, ...]:
    manager = node.context(identity=someone("jobs:manage"))
    return (await manager.call(ACTIONS.dead, ListDeadLetters())).letters


async def one_dead_letter(node: Node) -> DeadLetter:
    async def look() -> DeadLetter | None:
        return next(iter(await dead_letters(node)), None)

    return await eventually(look)


async def inbox_states(database: Database) -> list[str]:
    async with database.read() as session:
        return list((await session.execute(select(inbox.c.state).order_by(inbox.c.position))).scalars())


async def envelopes(database: Database) -> list[EventEnvelope]:
    async with database.read() as session:
        return await event_log.read(session, after=0)


async def test_a_handler_acts_for_the_user_and_the_request_that_caused_the_fact(database: Database) -> None:
    seen: list[tuple[Identity, str, str]] = []

    async def body(context: Context, _event: Noted, unit: UnitOfWork) -> None:
        seen.append((context.identity, context.request_id, context.action))
        unit.emit(Struck(note_id=uuid4())) if len(seen) == 1 else None

    async with running(database, body) as node:
        cause = node.context(identity=someone(), request_id="request-9")
        await state(database, *noted("milk"), context=cause)

        async def twice() -> bool | None:
            return True if len(seen) == 2 else None

        await eventually(twice)
        log = await envelopes(database)

    assert [(identity.kind, identity.name, identity.user_id) for identity, _, _ in seen] == [
        ("service", "notes", cause.identity.user_id)
    ] * 2
    assert [(request_id, action) for _, request_id, action in seen] == [
        ("request-9", "notes.noted"),
        ("request-9", "notes.struck"),
    ]
    assert {(entry.actor_id, entry.request_id) for entry in log} == {(cause.identity.user_id, "request-9")}


async def test_what_a_handler_writes_counts_together_with_the_note_that_it_ran(database: Database) -> None:
    failures = 0

    async def body(context: Context, event: Noted, unit: UnitOfWork) -> None:
        nonlocal failures
        await keep_text(context, event, unit)
        if failures < 3:
            failures += 1
            raise RuntimeError("after writing")

    async with running(database, body):
        await state(database, *noted("milk"))
        await has_texts(database, "milk")
        assert await inbox_states(database) == ["handled"]
    assert failures == 3


async def test_a_fact_delivered_again_takes_effect_once(database: Database, stream: OutboxEventStream) -> None:
    async with running(database, keep_text):
        await state(database, *noted("a", "b", "c"))
        await has_texts(database, "a", "b", "c")
        for _ in range(2):
            await stream.publish("notes", await envelopes(database))
        await state(database, *noted("d"))
        await has_texts(database, "a", "b", "c", "d")
        assert await inbox_states(database) == ["handled"] * 4


async def test_a_published_fact_is_marked_with_the_time(database: Database) -> None:
    async with running(database, keep_text):
        await state(database, *noted("a"))

        async def marked() -> bool | None:
            async with database.read() as session:
                return True if (await session.execute(select(events.c.published_at))).scalar_one() else None

        await eventually(marked)
        assert await database.verify_chain() is None


async def test_facts_stated_while_nobody_listened_arrive_later(make: MakeDatabase) -> None:
    database = make()
    await database.open()
    await state(database, *noted("a", "b", "c"))
    async with running(database, keep_text):
        await has_texts(database, "a", "b", "c")


async def test_facts_received_and_not_handled_are_handled_after_a_restart(database: Database) -> None:
    stuck = asyncio.Event()

    async def wait_for_ever(_context: Context, _event: Noted, _unit: UnitOfWork) -> None:
        stuck.set()
        await asyncio.Event().wait()

    async with running(database, wait_for_ever):
        await state(database, *noted("a", "b"))
        await asyncio.wait_for(stuck.wait(), 10)
    async with running(database, keep_text):
        await has_texts(database, "a", "b")


async def test_facts_of_one_aggregate_are_handled_in_order_and_those_of_others_meanwhile(database: Database) -> None:
    order: list[str] = []
    failing = True

    async def body(_context: Context, event: Noted, _unit: UnitOfWork) -> None:
        if failing and event.text == "bad 1":
            raise RuntimeError("not yet")
        order.append(event.text)

    async with running(database, body):
        await state(database, *noted("bad 1", "bad 2", "bad 3"), *noted("good 1", "good 2"))

        async def good_ones() -> bool | None:
            return True if order == ["good 1", "good 2"] else None

        await eventually(good_ones)
        failing = False

        async def all_of_them() -> bool | None:
            return True if len(order) == 5 else None

        await eventually(all_of_them)
    assert order == ["good 1", "good 2", "bad 1", "bad 2", "bad 3"]


async def test_a_handler_that_takes_too_long_is_stopped_and_tried_again(make: MakeDatabase) -> None:
    database = make(settings=QUICK.model_copy(update={"event_timeout_s": 0.5}))
    attempts = 0

    async def body(context: Context, event: Noted, unit: UnitOfWork) -> None:
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            await asyncio.Event().wait()
        await keep_text(context, event, unit)

    async with running(database, body):
        await state(database, *noted("milk"))
        await has_texts(database, "milk")
    assert attempts == 2


async def test_a_fact_that_the_code_does_not_understand_becomes_a_dead_letter_at_once(
    database: Database, stream: OutboxEventStream
) -> None:
    async with running(database, keep_text) as node:
        await state(database, *noted("milk"))
        await has_texts(database, "milk")
        (known,) = await envelopes(database)
        other = Noted(note_id=uuid4()).note_id
        strange = [
            EventEnvelope(**{**_fields(known), "id": uuid4(), "aggregate_id": other, "payload": '{"text": 7}'}),
            EventEnvelope(**{**_fields(known), "id": uuid4(), "aggregate_id": other, "payload": "not JSON"}),
        ]
        await stream.publish("notes", strange)

        async def both() -> bool | None:
            return True if len(await dead_letters(node)) == 2 else None

        await eventually(both)
        letters = await dead_letters(node)
    assert {letter.attempts for letter in letters} == {1}
    assert {letter.subject_id for letter in letters} == {event.id for event in strange}
    assert {letter.error["message"] for letter in letters} == {"ValidationError; the log has the cause"}


async def test_a_dead_letter_is_driven_again_once_and_stays_as_history(make: MakeDatabase) -> None:
    database = make(settings=QUICK.model_copy(update={"event_attempts": 2}))
    broken = True

    async def body(context: Context, event: Noted, unit: UnitOfWork) -> None:
        if broken:
            raise RuntimeError("no")
        await keep_text(context, event, unit)

    async with running(database, body) as node:
        await state(database, *noted("milk"))
        letter = await one_dead_letter(node)
        broken = False
        manager = node.context(identity=someone("jobs:manage"))
        driven = await manager.call(ACTIONS.redrive, DeadLetterRef(id=letter.id))
        await has_texts(database, "milk")
        assert await dead_letters(node) == ()
        history = (await manager.call(ACTIONS.dead, ListDeadLetters(redriven=True))).letters
    assert driven.redriven_at is not None
    assert [(past.id, past.redriven_by) for past in history] == [(letter.id, manager.identity.user_id)]
    assert driven == history[0]


async def test_a_dead_letter_that_fails_again_is_a_new_one(make: MakeDatabase) -> None:
    database = make(settings=QUICK.model_copy(update={"event_attempts": 2}))

    async def body(_context: Context, _event: Noted, _unit: UnitOfWork) -> None:
        raise RuntimeError("no")

    async with running(database, body) as node:
        await state(database, *noted("milk"))
        letter = await one_dead_letter(node)
        manager = node.context(identity=someone("jobs:manage"))
        await manager.call(ACTIONS.redrive, DeadLetterRef(id=letter.id))
        again = await one_dead_letter(node)
    assert again.id != letter.id
    assert (again.subject_id, again.attempts) == (letter.subject_id, 2)


async def test_while_the_database_cannot_be_written_a_fact_loses_no_attempt(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/notes.sqlite"
    settings = QUICK.model_copy(update={"event_attempts": 2, "busy_timeout_s": 0.01})
    database, other = (
        Database(url, service="notes", migrations=MIGRATIONS, settings=settings, stream=stream)
        for stream in (OutboxEventStream(), None)
    )
    await database.open()
    await other.open()
    try:
        await state(other, *noted("milk"))
        async with database.transaction() as unit:
            now = database.clock.now()
            await inbox_store.add(unit.session, "notes", await envelopes(other), now=now)
        with capture_logs() as logs:
            async with other.transaction() as lock:
                await write_note(lock.session, "in the way")
                async with running(database, keep_text):

                    async def failed_often() -> bool | None:
                        return True if sum(log["event"] == "fact_failure_not_noted" for log in logs) > 4 else None

                    await eventually(failed_often)
        async with running(database, keep_text) as node:
            await has_texts(database, "in the way", "milk")
            assert await dead_letters(node) == ()
    finally:
        await database.close()
        await other.close()


class Shaky(OutboxEventStream):
    """A stream whose broker is away now and then."""

    def __init__(self) -> None:
        super().__init__()
        self.away = False
        self.refused = 0

    async def publish(self, destination: str, events: Sequence[EventEnvelope]) -> None:
        if self.away:
            self.refused += 1
            raise EventStreamError("the broker is away")
        await super().publish(destination, events)


class Deaf(OutboxEventStream):
    """A stream whose driver has its answer in the very moment in which it is cancelled."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()

    async def publish(self, destination: str, events: Sequence[EventEnvelope]) -> None:
        self.asked.set()
        with suppress(asyncio.CancelledError):  # this is what asyncio.wait_for does then, until Python 3.12
            await asyncio.Event().wait()
        await super().publish(destination, events)


async def test_a_node_stops_whose_driver_loses_a_cancellation(make: MakeDatabase) -> None:
    stream = Deaf()
    database = make(stream=stream)
    async with asyncio.timeout(30):
        async with local_node(NotesService(database=database, event=keep_text)):
            await state(database, *noted("first"))
            await stream.asked.wait()


@pytest.mark.requirement("P15")
async def test_writes_go_on_while_the_broker_is_away_and_every_fact_arrives_once_it_is_back(
    make: MakeDatabase,
) -> None:
    stream = Shaky()
    database = make(stream=stream)
    service = NotesService(database=database, event=keep_text)
    async with local_node(service):
        stream.away = True
        for n in range(100):
            await state(database, *noted(f"{n:03}"))

        async def refused() -> bool | None:
            return True if stream.refused > 2 else None

        await eventually(refused)
        health = await service.health()
        assert health["database"].status == "ok"
        assert (health["events"].status, health["events"].detail) == (
            "degraded",
            "100 facts wait for notes: the broker is away",
        )
        assert await texts(database) == []

        stream.away = False
        await has_texts(database, *(f"{n:03}" for n in range(100)))
        assert await inbox_states(database) == ["handled"] * 100
        assert "events" not in await service.health()


async def test_two_nodes_over_one_database_handle_each_fact_once_and_in_order(make: MakeDatabase) -> None:
    order: list[str] = []
    accounts = [uuid4() for _ in range(3)]

    async def body(context: Context, event: Noted, unit: UnitOfWork) -> None:
        await keep_text(context, event, unit)
        order.append(event.text)

    first, second = make(stream=OutboxEventStream()), make(stream=OutboxEventStream())
    async with running(first, body), running(second, body):
        expected = []
        for n in range(10):
            for account_number, account in enumerate(accounts):
                text = f"{account_number} {n}"
                expected.append(text)
                await state((first, second)[n % 2], Noted(note_id=account, text=text))
        await has_texts(first, *expected)
    for account_number in range(3):
        own = [text for text in order if text.startswith(f"{account_number} ")]
        assert own == sorted(own)
    assert len(order) == 30


async def test_what_another_process_states_is_handed_on_without_a_look_by_every_route(
    make: MakeDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "_POLLS_OF_A_ROUTE", 10_000)
    here, there = make(), make(stream=OutboxEventStream())
    async with running(here, keep_text):
        await there.open()
        await state(there, *noted("from elsewhere"))
        await has_texts(here, "from elsewhere")


async def test_a_topic_that_is_handled_no_more_holds_up_no_other(database: Database) -> None:
    async with running(database, keep_text):
        account = uuid4()
        await state(database, *noted("a", about=account))
        await has_texts(database, "a")
        async with database.transaction() as unit:
            old = {"state": "pending", "topic": "notes.abolished", "payload": "{}"}
            await unit.session.execute(update(inbox).values(old))
        await state(database, *noted("b", about=account))
        await has_texts(database, "a", "b")


def _fields(envelope: EventEnvelope) -> dict[str, object]:
    return {name: getattr(envelope, name) for name in EventEnvelope.__slots__}
