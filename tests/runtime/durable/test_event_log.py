import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID, uuid4

import orjson
import pytest
from sqlalchemy import delete, insert, select, update

from fireside.core.ids import EventId, UserId
from fireside.ports.event_stream import EventEnvelope
from fireside.runtime.context import Context
from fireside.runtime.durable import Database, JobRun, event_log
from fireside.runtime.durable.chain import FIRST_HASH, entry_hash
from fireside.runtime.durable.event_log import ChainBreak, VersionConflictError
from fireside.runtime.durable.tables import event_head, events
from fireside.testing.durable import job_that_ended
from fireside.testing.mesh import local_node
from tests.runtime.durable.notes import SCRIBE, Noted, NotesService, Scribe, Struck, someone, texts, write_note


async def state(database: Database, *texts: str, about: UUID | None = None) -> UUID:
    note_id = about or uuid4()
    for text in texts:
        async with database.transaction() as unit:
            unit.emit(Noted(note_id=note_id, text=text))
    return note_id


async def log_of(database: Database) -> list[EventEnvelope]:
    async with database.read() as session:
        return await event_log.read(session, after=0)


async def test_facts_stand_in_the_log_in_the_order_of_commits_without_gaps(database: Database) -> None:
    note_id = await state(database, "a", "b")
    other = await state(database, "c")
    await state(database, "d", about=note_id)

    log = await log_of(database)
    assert [orjson.loads(entry.payload)["text"] for entry in log] == ["a", "b", "c", "d"]
    assert [entry.sequence for entry in log] == [1, 2, 3, 4]
    assert [(entry.aggregate_id, entry.aggregate_version) for entry in log] == [
        (note_id, 1),
        (note_id, 2),
        (other, 1),
        (note_id, 3),
    ]
    assert {(entry.topic, entry.source) for entry in log} == {("notes.noted", "notes")}
    assert len({entry.id for entry in log}) == 4
    assert all(entry.id.version == 7 for entry in log)


async def test_a_fact_is_stated_together_with_the_rows_or_not_at_all(database: Database) -> None:
    async def fail_after_stating() -> None:
        async with database.transaction() as unit:
            unit.emit(Noted(note_id=await write_note(unit.session, "milk")))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail_after_stating()

    assert await log_of(database) == []
    assert await texts(database) == []


async def test_a_fact_names_the_user_and_the_request_that_caused_it(database: Database) -> None:
    async with local_node(NotesService(database=database)) as node:
        context = node.context(identity=someone(), request_id="request-7")
        async with database.transaction(context) as unit:
            unit.emit(Noted(note_id=uuid4()))
        async with database.transaction() as unit:
            unit.emit(Noted(note_id=uuid4()))
        by_user, by_nobody = await log_of(database)

    assert (by_user.actor_id, by_user.request_id) == (context.identity.user_id, "request-7")
    assert (by_nobody.actor_id, by_nobody.request_id) == (None, "")


async def test_a_fact_stated_without_a_context_names_the_call_that_is_being_served(database: Database) -> None:
    async def body(_context: Context, _run: JobRun, _payload: Scribe) -> None:
        await state(database, "from within a job")

    async with local_node(NotesService(database=database, job=body)) as node:
        context = node.context(identity=someone(), request_id="request-8")
        async with database.transaction(context) as unit:
            job_id = unit.enqueue(SCRIBE, Scribe(), owner_id=context.identity.user_id)
        await job_that_ended(context, "notes", job_id)
        fact = (await log_of(database))[0]

    assert fact.topic == "notes.noted"
    assert (fact.actor_id, fact.request_id) == (context.identity.user_id, "request-8")


async def test_many_writers_at_once_make_one_unbroken_log(database: Database) -> None:
    note_id = uuid4()
    await asyncio.gather(*(state(database, str(n), about=note_id) for n in range(12)))

    log = await log_of(database)
    assert [entry.sequence for entry in log] == list(range(1, 13))
    assert [entry.aggregate_version for entry in log] == list(range(1, 13))
    assert await database.verify_chain() is None


@pytest.mark.requirement("P14")
async def test_of_two_edits_that_expect_the_same_version_one_is_refused(database: Database) -> None:
    note_id = await state(database, "first")

    async def edit() -> None:
        async with database.transaction() as unit:
            unit.emit(Noted(note_id=note_id, text="edit"), expected_version=1)

    results = await asyncio.gather(edit(), edit(), return_exceptions=True)

    refused = [result for result in results if result is not None]
    assert [type(error) for error in refused] == [VersionConflictError]
    assert isinstance(refused[0], VersionConflictError)
    assert (refused[0].status, refused[0].details["present"]) == (409, 2)
    assert len(await log_of(database)) == 2


async def test_several_facts_of_one_transaction_count_up_the_expected_version(database: Database) -> None:
    note_id = uuid4()
    async with database.transaction() as unit:
        unit.emit(Noted(note_id=note_id), expected_version=0)
        unit.emit(Struck(note_id=note_id), expected_version=1)

    async with database.read() as session:
        assert await event_log.version_of(session, note_id) == 2
        assert await event_log.version_of(session, uuid4()) == 0


@pytest.mark.requirement("P14")
async def test_the_history_of_one_object_can_be_read_up_to_a_moment(database: Database) -> None:
    note_id = await state(database, "a", "b")
    await state(database, "other")
    moment = (await log_of(database))[1].occurred_at
    await state(database, "c", about=note_id)

    async with database.read() as session:
        whole = await event_log.history(session, note_id)
        early = await event_log.history(session, note_id, until=moment)
    assert [entry.aggregate_version for entry in whole] == [1, 2, 3]
    assert [entry.aggregate_version for entry in early] == [1, 2]


async def test_the_log_is_read_from_a_place_by_topics_and_in_parts(database: Database) -> None:
    for event in (Noted, Struck, Noted, Struck, Noted):
        async with database.transaction() as unit:
            unit.emit(event(note_id=uuid4()))

    async with database.read() as session:
        assert [e.sequence for e in await event_log.read(session, after=1, topics={"notes.struck"})] == [2, 4]
        assert [e.sequence for e in await event_log.read(session, after=1, limit=2)] == [2, 3]
        assert await event_log.last_sequence(session) == 5


CHANGES = {
    "id": uuid4(),
    "topic": "notes.forged",
    "aggregate_id": uuid4(),
    "aggregate_version": 99,
    "occurred_at": datetime(2020, 1, 1, tzinfo=UTC),
    "actor_id": uuid4(),
    "request_id": "forged",
    "payload": '{"note_id":"00000000-0000-0000-0000-000000000000","text":"forged"}',
    "prev_hash": "f" * 64,
    "hash": "f" * 64,
}


@pytest.mark.requirement("S6")
@pytest.mark.parametrize("column", sorted(CHANGES))
async def test_a_changed_column_breaks_the_chain_at_its_entry(database: Database, column: str) -> None:
    await state(database, *"abcde")
    assert await database.verify_chain() is None

    async with database.transaction() as unit:
        await unit.session.execute(update(events).where(events.c.sequence == 3).values({column: CHANGES[column]}))

    assert await database.verify_chain() == ChainBreak(3, "changed")


@pytest.mark.requirement("S6")
async def test_a_removed_entry_is_named(database: Database) -> None:
    await state(database, *"abcde")
    async with database.transaction() as unit:
        await unit.session.execute(delete(events).where(events.c.sequence == 2))
    assert await database.verify_chain() == ChainBreak(2, "missing")


async def test_entries_cut_off_the_end_are_named(database: Database) -> None:
    await state(database, *"abcde")
    async with database.transaction() as unit:
        await unit.session.execute(delete(events).where(events.c.sequence > 3))
    assert await database.verify_chain() == ChainBreak(4, "cut")


async def test_an_entry_slipped_in_at_the_end_is_named(database: Database) -> None:
    await state(database, *"abc")
    async with database.transaction() as unit:
        last = (await unit.session.execute(select(events).where(events.c.sequence == 3))).one()
        envelope = replace((await event_log.read(unit.session, after=2))[0], id=EventId(uuid4()), sequence=4)
        envelope = replace(envelope, aggregate_id=uuid4(), aggregate_version=1)
        forged = {
            **last._asdict(),
            "id": envelope.id,
            "sequence": 4,
            "aggregate_id": envelope.aggregate_id,
            "aggregate_version": 1,
            "prev_hash": last.hash,
            "hash": entry_hash(envelope, last.hash),
        }
        await unit.session.execute(insert(events), forged)
    assert await database.verify_chain() == ChainBreak(4, "changed")


async def test_marking_an_entry_as_published_leaves_the_chain_whole(database: Database) -> None:
    await state(database, *"abc")
    async with database.transaction() as unit:
        await unit.session.execute(update(events).values(published_at=datetime.now(UTC)))
    assert await database.verify_chain() is None


async def test_a_long_log_is_verified_to_its_end(database: Database) -> None:
    async with database.transaction() as unit:
        for _ in range(2001):
            unit.emit(Noted(note_id=uuid4()))
    assert await database.verify_chain() is None
    async with database.transaction() as unit:
        await unit.session.execute(update(events).where(events.c.sequence == 2001).values(request_id="forged"))
    assert await database.verify_chain() == ChainBreak(2001, "changed")


async def test_an_empty_log_is_whole(database: Database) -> None:
    assert await database.verify_chain() is None
    async with database.transaction() as unit:
        await unit.session.execute(update(event_head).values(hash="f" * 64))
    assert await database.verify_chain() == ChainBreak(0, "changed")


def test_the_hash_of_an_entry_is_the_one_that_is_written_down() -> None:
    """Guards logs of earlier versions: a change of the formula would call every one of them forged."""
    entry = EventEnvelope(
        id=EventId(UUID(int=1)),
        topic="notes.noted",
        source="notes",
        sequence=1,
        aggregate_id=UUID(int=2),
        aggregate_version=1,
        occurred_at=datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC),
        actor_id=UserId(UUID(int=3)),
        request_id="r",
        payload='{"text":"Grüße"}',
    )
    assert entry_hash(entry, FIRST_HASH) == "d5c82f276f4f6ede8dbfa64d2695841ec85db3c1ad403bfb0d0ff0a62d069e2a"
