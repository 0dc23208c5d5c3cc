from typing import Any

import pytest
from sqlalchemy import delete

from fireside.runtime.durable import Database, UnitOfWork
from fireside.runtime.durable.read_models import rebuild
from tests.runtime.durable.notes import notes, texts
from tests.runtime.durable.test_facts import has_texts, keep_text, noted, running, state


async def clear(unit: UnitOfWork) -> None:
    await unit.session.execute(delete(notes))


@pytest.mark.requirement("P13")
async def test_a_read_model_made_anew_is_what_it_was(database: Database) -> None:
    async with running(database, keep_text):
        await state(database, *noted("a", "b", "c"), *noted("d"))
        await has_texts(database, "a", "b", "c", "d")
        async with database.transaction() as unit:
            await unit.session.execute(delete(notes).where(notes.c.text > "b"))

        assert await rebuild(database, [database], topics={"notes.noted"}, clear=clear) == 4
        await has_texts(database, "a", "b", "c", "d")

        await state(database, *noted("e"))
        await has_texts(database, "a", "b", "c", "d", "e")


async def test_a_rebuild_that_is_interrupted_has_changed_nothing(database: Database) -> None:
    class Gone:
        def read(self) -> Any:
            raise ConnectionResetError

    async with running(database, keep_text):
        await state(database, *noted("a", "b"))
        await has_texts(database, "a", "b")
        with pytest.raises(Exception, match="cannot be reached"):
            await rebuild(database, [database, Gone()], topics={"notes.noted"}, clear=clear)
        assert await texts(database) == ["a", "b"]


async def test_a_long_log_is_read_to_its_end(database: Database) -> None:
    async with database.transaction() as unit:
        for event in noted(*(str(n) for n in range(2001))):
            unit.emit(event)
    assert await rebuild(database, [database], topics={"notes.noted"}, clear=clear) == 2001
    assert await rebuild(database, [database], topics={"notes.struck"}, clear=clear) == 0
