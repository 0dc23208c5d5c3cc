"""Rows inserted at once, on every database."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import insert, select

from fireside.runtime.durable import Database, inbox_store
from fireside.runtime.durable.tables import inbox
from fireside.testing.facts import envelope

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


async def rows(database: Database) -> list[dict[str, Any]]:
    """What the inbox holds, in order of arrival."""
    async with database.read() as session:
        found = await session.execute(select(inbox).order_by(inbox.c.position))
        return [dict(row) for row in found.mappings()]


async def test_facts_stored_at_once_read_as_those_that_were_stored_one_by_one(database: Database) -> None:
    east = timezone(timedelta(hours=2))
    facts = [
        envelope(1),
        replace(envelope(2), actor_id=None, occurred_at=datetime(2026, 1, 1, tzinfo=UTC)),
        replace(envelope(3), occurred_at=datetime(2026, 1, 1, 1, 2, 3, 4, tzinfo=east)),
    ]
    async with database.transaction() as unit:
        await inbox_store.add(unit.session, "at once", facts, now=NOW)
        for fact in facts:
            plain = {
                "consumer_group": "one by one",
                "event_id": fact.id,
                "source": fact.source,
                "topic": fact.topic,
                "aggregate_id": fact.aggregate_id,
                "aggregate_version": fact.aggregate_version,
                "occurred_at": fact.occurred_at,
                "actor_id": fact.actor_id,
                "request_id": fact.request_id,
                "payload": fact.payload,
                "state": "pending",
                "attempts": 0,
                "run_at": NOW,
                "received_at": NOW,
            }
            await unit.session.execute(insert(inbox), plain)
    found = await rows(database)
    told_apart = [{k: v for k, v in row.items() if k not in ("position", "consumer_group")} for row in found]
    assert [row["consumer_group"] for row in found] == ["at once"] * 3 + ["one by one"] * 3
    assert told_apart[:3] == told_apart[3:]
    assert told_apart[2]["occurred_at"] == facts[2].occurred_at


async def test_rows_that_are_there_already_are_left_alone_and_the_others_keep_their_order(database: Database) -> None:
    facts = [envelope(n) for n in range(300)]
    async with database.transaction() as unit:
        await inbox_store.add(unit.session, "notes", facts[100:200], now=NOW)
    async with database.transaction() as unit:
        await inbox_store.add(unit.session, "notes", [*facts, *facts], now=NOW + timedelta(hours=1))
    found = await rows(database)
    assert [row["aggregate_version"] for row in found] == [*range(100, 200), *range(100), *range(200, 300)]
    assert {row["received_at"] for row in found[:100]} == {NOW}


async def test_nothing_to_insert_asks_the_database_nothing(database: Database) -> None:
    async with database.transaction() as unit:
        await inbox_store.add(unit.session, "notes", [], now=NOW)
    assert await rows(database) == []


async def test_what_a_column_does_not_take_is_refused(database: Database) -> None:
    naive = replace(envelope(1), occurred_at=datetime(2026, 1, 1))  # noqa: DTZ001 - what has to be refused
    with pytest.raises(ValueError, match="needs its time zone"):
        async with database.transaction() as unit:
            await inbox_store.add(unit.session, "notes", [naive], now=NOW)
    assert await rows(database) == []
