"""What is erased cannot be read in the files of SQLite either."""

from pathlib import Path

import pytest
from sqlalchemy import delete

from fireside.runtime.durable import Database
from fireside.runtime.durable.failures import DatabaseUnavailableError
from fireside.testing.durable import QUICK
from tests.runtime.durable.conftest import MakeDatabase
from tests.runtime.durable.notes import notes, texts, write_note

WORD = b"kumquat"


async def with_an_erased_note(database: Database) -> Database:
    async with database.transaction() as unit:
        await write_note(unit.session, WORD.decode() * 1000)
    async with database.transaction() as unit:
        await unit.session.execute(delete(notes))
    return database


def places(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if WORD in path.read_bytes()]


@pytest.mark.requirement("D9")
async def test_erased_rows_leave_no_trace_and_the_database_goes_on(database: Database, tmp_path: Path) -> None:
    await with_an_erased_note(database)

    for _ in range(2):
        await database.clear_traces()

    assert places(tmp_path) == []
    async with database.transaction() as unit:
        await write_note(unit.session, "milk")
    assert await texts(database) == ["milk"]


async def test_traces_that_are_still_read_are_cleared_later(make: MakeDatabase, tmp_path: Path) -> None:
    database = make(settings=QUICK.model_copy(update={"busy_timeout_s": 0.05}))
    await database.open()
    async with database.read() as session:
        await session.execute(notes.select())
        await with_an_erased_note(database)
        if (tmp_path / "notes.sqlite").exists():
            with pytest.raises(DatabaseUnavailableError, match="still read") as failed:
                await database.clear_traces()
            assert failed.value.retryable
            assert places(tmp_path)

    await database.clear_traces()

    assert places(tmp_path) == []
