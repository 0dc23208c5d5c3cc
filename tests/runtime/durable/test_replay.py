from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID, uuid4

import orjson
import pytest
from pydantic import TypeAdapter
from sqlalchemy import select, update

from fireside.ports.event_stream import EventEnvelope
from fireside.runtime.durable import Database, Replay
from fireside.runtime.durable.event_log import VersionConflictError
from fireside.runtime.durable.tables import events, snapshots
from tests.runtime.durable.notes import Noted

Words = tuple[str, ...]


def add(words: Words, entry: EventEnvelope) -> Words:
    return (*words, orjson.loads(entry.payload)["text"])


def replay(apply: Callable[[Words, EventEnvelope], Words] = add) -> Replay[Words]:
    return Replay(TypeAdapter(Words), first=(), apply=apply, keep_every=3)


async def note(database: Database, note_id: UUID, *texts: str) -> None:
    for text in texts:
        async with database.transaction() as unit:
            await replay().keep(unit.session, note_id)
            unit.emit(Noted(note_id=note_id, text=text))


async def versions(database: Database) -> list[int]:
    async with database.read() as session:
        return list(await session.scalars(select(snapshots.c.aggregate_version)))


@pytest.mark.requirement("P14")
async def test_only_facts_after_the_newest_snapshot_are_read(database: Database) -> None:
    note_id, applied = uuid4(), list[int]()
    await note(database, note_id, *"abcdefgh")
    await note(database, uuid4(), "another")

    def watched(words: Words, entry: EventEnvelope) -> Words:
        applied.append(entry.aggregate_version)
        return add(words, entry)

    async with database.read() as session:
        now = await replay(watched).state(session, note_id)

    assert (now.state, now.version) == (tuple("abcdefgh"), 8)
    assert applied == [7, 8]
    assert sorted(await versions(database)) == [3, 6]


@pytest.mark.requirement("P14")
async def test_a_replay_until_a_moment_gives_the_state_of_that_moment(database: Database) -> None:
    note_id = uuid4()
    await note(database, note_id, *"abcdefgh")
    moments = [datetime(2026, 1, day, tzinfo=UTC) for day in range(1, 9)]
    async with database.transaction() as unit:
        for version, moment in enumerate(moments, start=1):
            for table in (events, snapshots):
                own = (table.c.aggregate_id == note_id) & (table.c.aggregate_version == version)
                await unit.session.execute(update(table).where(own).values(occurred_at=moment))

    async with database.read() as session:
        states = [(await replay().state(session, note_id, until=moment)).state for moment in moments]
        before = await replay().state(session, note_id, until=datetime(2025, 12, 31, tzinfo=UTC))

    assert states == [tuple("abcdefgh"[:count]) for count in range(1, 9)]
    assert (before.state, before.version) == ((), 0)


@pytest.mark.requirement("P14")
async def test_a_snapshot_of_another_shape_is_passed_by(database: Database) -> None:
    note_id = uuid4()
    await note(database, note_id, *"abcde")
    async with database.transaction() as unit:
        await unit.session.execute(update(snapshots).values(state='{"words": "of an earlier release"}'))

    async with database.read() as session:
        assert (await replay().state(session, note_id)).state == tuple("abcde")


@pytest.mark.requirement("P14")
async def test_of_two_who_change_the_same_state_one_gets_a_conflict(database: Database) -> None:
    note_id = uuid4()
    await note(database, note_id, "a")
    async with database.read() as session:
        seen = (await replay().state(session, note_id)).version

    async with database.transaction() as unit:
        unit.emit(Noted(note_id=note_id, text="b"), expected_version=seen)
    with pytest.raises(VersionConflictError):
        async with database.transaction() as unit:
            unit.emit(Noted(note_id=note_id, text="c"), expected_version=seen)

    async with database.read() as session:
        assert (await replay().state(session, note_id)).state == ("a", "b")
