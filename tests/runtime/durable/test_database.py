import asyncio
import stat
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from fireside.core.errors import InternalError, UnavailableError
from fireside.runtime.durable import Database
from fireside.runtime.durable.database import ForeignDatabaseError
from fireside.runtime.durable.failures import DatabaseUnavailableError
from fireside.runtime.durable.turns import NestedTransactionError
from fireside.testing.durable import QUICK, temporary_database
from tests.runtime.durable.conftest import MakeDatabase
from tests.runtime.durable.notes import MIGRATIONS, count, notes, texts, write_note


async def test_what_a_transaction_wrote_is_there_for_readers_after_it(database: Database) -> None:
    async with database.transaction() as unit:
        await write_note(unit.session, "milk")

    assert await texts(database) == ["milk"]


async def test_a_transaction_that_raises_leaves_nothing(database: Database) -> None:
    async def fail_after_writing() -> None:
        async with database.transaction() as unit:
            await write_note(unit.session, "milk")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail_after_writing()

    assert await texts(database) == []


async def test_transactions_at_the_same_time_lose_no_change(database: Database) -> None:
    async with database.transaction() as unit:
        await write_note(unit.session, "0")

    async def add_one() -> None:
        async with database.transaction() as unit:
            number = (await unit.session.execute(select(notes.c.text).with_for_update())).scalar_one()
            await asyncio.sleep(0)
            await unit.session.execute(update(notes).values(text=str(int(number) + 1)))

    await asyncio.gather(*(add_one() for _ in range(20)))

    assert await texts(database) == ["20"]


async def test_readers_do_not_wait_for_a_writer_and_see_the_state_before_it(database: Database) -> None:
    async with database.transaction() as unit:
        await write_note(unit.session, "milk")
        seen = await asyncio.gather(*(texts(database) for _ in range(6)))

    assert seen == [[]] * 6


async def test_a_transaction_inside_another_is_refused_instead_of_waiting_for_ever(database: Database) -> None:
    async with database.transaction():
        with pytest.raises(NestedTransactionError):
            async with database.transaction():
                pass

    async with database.transaction() as unit:
        await write_note(unit.session, "still usable")
    assert await texts(database) == ["still usable"]


async def test_reading_cannot_write(database: Database) -> None:
    with pytest.raises(DatabaseUnavailableError):
        async with database.read() as session:
            await write_note(session, "milk")

    assert await texts(database) == []


async def test_a_broken_constraint_is_left_for_the_repository(database: Database) -> None:
    async with database.transaction() as unit:
        await write_note(unit.session, "milk")

    with pytest.raises(IntegrityError):
        async with database.transaction() as unit:
            await write_note(unit.session, "milk")


async def test_a_wrong_statement_is_not_taken_for_an_outage(database: Database) -> None:
    with pytest.raises(DBAPIError):
        async with database.read() as session:
            await session.execute(text("SELECT nothing FROM nowhere"))


async def test_tasks_cancelled_in_the_middle_leave_a_database_that_works(database: Database) -> None:
    async def write(n: int) -> None:
        async with database.transaction() as unit:
            await write_note(unit.session, f"{n:03}")
            await write_note(unit.session, f"{n:03} again")

    for wait_s in (0.0, 0.001, 0.002, 0.004, 0.008):
        tasks = [asyncio.create_task(write(n)) for n in range(5)]
        await asyncio.wait(tasks, timeout=wait_s)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        async with database.transaction() as unit:
            assert await count(unit.session) % 2 == 0
            await unit.session.execute(notes.delete())


async def test_moments_come_back_in_utc_as_they_were(database: Database) -> None:
    moment = datetime(2026, 3, 29, 2, 30, 0, 123456, tzinfo=timezone(timedelta(hours=2)))
    async with database.transaction() as unit:
        await write_note(unit.session, "with a moment", written_at=moment)
        await write_note(unit.session, "without")

    async with database.read() as session:
        read = (await session.execute(select(notes.c.written_at).order_by(notes.c.text))).scalars().all()
    assert read == [moment, None]
    assert read[0].tzinfo is UTC


async def test_a_moment_without_its_time_zone_is_refused(database: Database) -> None:
    with pytest.raises(Exception, match="needs its time zone"):
        async with database.transaction() as unit:
            await write_note(unit.session, "naive", written_at=datetime(2026, 1, 1))  # noqa: DTZ001 - what is tested


async def test_a_database_that_is_not_open_says_so(make: MakeDatabase) -> None:
    with pytest.raises(InternalError, match="database of notes is not open"):
        async with make().read():
            pass


async def test_opening_and_closing_twice_do_nothing_more(make: MakeDatabase) -> None:
    database = make()
    await database.open()
    await database.open()
    assert await texts(database) == []
    await database.close()
    await database.close()
    assert not database.is_open


async def test_a_database_says_how_it_is(make: MakeDatabase) -> None:
    database = make()
    assert (await database.check()).status == "failed"
    await database.open()
    check = await database.check()
    assert check.status == "ok"
    assert check.latency_ms is not None


async def test_the_file_of_one_service_is_not_taken_for_anothers(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/one.sqlite"
    first = Database(url, service="notes", migrations=MIGRATIONS)
    await first.open()
    await first.close()

    second = Database(url, service="chat", migrations=MIGRATIONS)
    with pytest.raises(ForeignDatabaseError, match="service notes, not chat"):
        await second.open()
    assert not second.is_open


async def test_the_folder_of_databases_is_for_its_owner_alone(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/db/notes.sqlite", service="notes")
    await database.open()
    await database.close()
    assert stat.S_IMODE((tmp_path / "db").stat().st_mode) == 0o700


async def test_a_commit_is_written_through_to_the_disk(tmp_path: Path) -> None:
    async with temporary_database("notes") as database, database.transaction() as unit:
        settings = {
            name: (await unit.session.execute(text(f"PRAGMA {name}"))).scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    assert settings == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


@pytest.mark.requirement("P18")
async def test_a_full_disk_stops_writing_but_not_reading_until_there_is_room_again() -> None:
    async with temporary_database("notes", MIGRATIONS) as database:
        async with database.transaction() as unit:
            await write_note(unit.session, "before")
            pages = (await unit.session.execute(text("PRAGMA page_count"))).scalar_one()
            await unit.session.execute(text(f"PRAGMA max_page_count = {pages}"))

        with pytest.raises(DatabaseUnavailableError, match="disk is full") as refused:
            async with database.transaction() as unit:
                await write_note(unit.session, "x" * 1_000_000)
        assert refused.value.retryable
        assert await texts(database) == ["before"]

        async with database.transaction() as unit:
            await unit.session.execute(text("PRAGMA max_page_count = 1000000"))
            await write_note(unit.session, "later")
        assert await texts(database) == ["before", "later"]


async def test_a_lock_held_by_another_program_is_waited_for_and_then_named(tmp_path: Path) -> None:
    settings = QUICK.model_copy(update={"busy_timeout_s": 0.05})
    url = f"sqlite:///{tmp_path}/notes.sqlite"
    first = Database(url, service="notes", migrations=MIGRATIONS, settings=settings)
    second = Database(url, service="notes", migrations=MIGRATIONS, settings=settings)
    await first.open()
    await second.open()
    try:
        async with first.transaction() as unit:
            await write_note(unit.session, "mine")
            with pytest.raises(DatabaseUnavailableError, match="locked by another program"):
                async with second.transaction() as other:
                    await write_note(other.session, "yours")
        async with second.transaction() as other:
            await write_note(other.session, "yours")
        assert await texts(first) == ["mine", "yours"]
    finally:
        await first.close()
        await second.close()


async def test_two_programs_that_write_at_once_wait_for_each_other(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/notes.sqlite"
    programs = [Database(url, service="notes", migrations=MIGRATIONS) for _ in range(2)]
    for program in programs:
        await program.open()

    async def write(program: Database) -> None:
        for _ in range(10):
            async with program.transaction() as unit:
                present = await count(unit.session)
                await asyncio.sleep(0)
                await write_note(unit.session, f"{present:03}")

    try:
        await asyncio.gather(*(write(program) for program in programs))
        assert await texts(programs[0]) == [f"{n:03}" for n in range(20)]
    finally:
        for program in programs:
            await program.close()


async def test_a_file_that_is_no_database_is_named_as_damaged(tmp_path: Path) -> None:
    (tmp_path / "notes.sqlite").write_bytes(b"not a database" * 1000)
    database = Database(f"sqlite:///{tmp_path}/notes.sqlite", service="notes")
    with pytest.raises(DatabaseUnavailableError, match="restore a backup"):
        await database.open()


async def test_a_server_that_cannot_be_reached_is_unavailable() -> None:
    database = Database("postgresql://postgres@127.0.0.1:1/test", service="notes", settings=QUICK)
    with pytest.raises(UnavailableError, match="cannot be reached"):
        await database.open()
    assert not database.is_open


async def test_a_connection_that_the_server_cut_is_replaced(postgresql_url: str) -> None:
    settings = QUICK.model_copy(update={"writers": 1, "readers": 1})
    database = Database(postgresql_url, service="notes", migrations=MIGRATIONS, settings=settings)
    await database.open()

    async def lose_the_connection() -> None:
        async with database.transaction() as unit:
            await write_note(unit.session, "lost")
            await unit.session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    try:
        with pytest.raises(DatabaseUnavailableError):
            await lose_the_connection()
        async with database.transaction() as unit:
            await write_note(unit.session, "kept")
        assert await texts(database) == ["kept"]
        async with database.transaction() as unit:
            await unit.session.execute(text("DROP SCHEMA notes CASCADE"))
    finally:
        await database.close()
