import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import Connection, inspect, text

from fireside.runtime.durable import Database, durable_metadata
from fireside.runtime.durable.revisions import MigrationError, NewerSchemaError, newest_revisions
from fireside.testing.durable import schema_differences
from tests.runtime.durable.conftest import MakeDatabase
from tests.runtime.durable.notes import MIGRATIONS, notes, texts, write_note

SECOND = '''"""A column more."""

import sqlalchemy as sa
from alembic import op

revision = "notes_0002"
down_revision = "notes_0001"


def upgrade() -> None:
    with op.batch_alter_table("notes") as table:
        table.add_column(sa.Column("colour", sa.Text, nullable=False, server_default="white"))
        table.alter_column("text", nullable=True)


def downgrade() -> None:
    with op.batch_alter_table("notes") as table:
        table.drop_column("colour")
        table.alter_column("text", nullable=False)
'''


@pytest.fixture
def newer(tmp_path: Path) -> Path:
    """The migrations of a newer version of the service."""
    shutil.copytree(MIGRATIONS, tmp_path / "newer", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "newer" / "versions" / "notes_0002_colour.py").write_text(SECOND)
    return tmp_path / "newer"


async def columns(database: Database) -> set[str]:
    def names(connection: Connection) -> set[str]:
        return {column["name"] for column in inspect(connection).get_columns("notes")}

    async with database.read() as session:
        return await (await session.connection()).run_sync(names)


async def test_the_migrations_make_the_tables_that_the_code_uses(database: Database) -> None:
    assert await schema_differences(database, durable_metadata, notes.metadata) == []


@pytest.mark.requirement("D6")
async def test_rows_survive_going_up_down_and_up_again(make: MakeDatabase, newer: Path) -> None:
    old = make()
    await old.open()
    async with old.transaction() as unit:
        await write_note(unit.session, "milk")
    await old.close()

    new = make(migrations=newer)
    await new.open()
    assert await texts(new) == ["milk"]
    assert "colour" in await columns(new)
    await new.close()

    await new.downgrade("notes@notes_0001")
    await old.open()
    assert await texts(old) == ["milk"]
    assert "colour" not in await columns(old)
    await old.close()

    await new.open()
    assert "colour" in await columns(new)


@pytest.mark.requirement("D6")
async def test_everything_can_be_taken_back(make: MakeDatabase) -> None:
    database = make()
    await database.open()
    await database.close()

    await database.downgrade("notes@base")
    await database.downgrade("durable@base")
    await database.open()

    assert await texts(database) == []


async def test_a_database_of_a_newer_version_is_left_alone(make: MakeDatabase, newer: Path) -> None:
    new = make(migrations=newer)
    await new.open()
    await new.close()

    with pytest.raises(NewerSchemaError, match="revision notes_0002, which this version does not know"):
        await make().open()


async def test_a_migration_that_fails_changes_nothing(make: MakeDatabase, newer: Path) -> None:
    path = newer / "versions" / "notes_0002_colour.py"
    path.write_text(SECOND.replace("def downgrade", "    raise RuntimeError('half way')\n\n\ndef downgrade"))
    old = make()
    await old.open()
    await old.close()

    with pytest.raises(RuntimeError, match="half way"):
        await make(migrations=newer).open()

    await old.open()
    assert "colour" not in await columns(old)


async def test_a_migration_may_not_leave_rows_that_point_nowhere(tmp_path: Path) -> None:
    versions = tmp_path / "migrations" / "versions"
    versions.mkdir(parents=True)
    (versions / "notes_0001_broken.py").write_text(
        '''"""Two tables."""

from alembic import op

revision = "notes_0001"
down_revision = None
branch_labels = ("notes",)


def upgrade() -> None:
    op.execute("CREATE TABLE parent (id INTEGER PRIMARY KEY)")
    op.execute("CREATE TABLE child (id INTEGER PRIMARY KEY, parent_id INTEGER REFERENCES parent (id))")
    op.execute("INSERT INTO child VALUES (1, 7)")
'''
    )
    database = Database(f"sqlite:///{tmp_path}/notes.sqlite", service="notes", migrations=versions.parent)
    with pytest.raises(MigrationError, match="point nowhere"):
        await database.open()


async def test_two_nodes_that_start_at_once_migrate_once(make: MakeDatabase) -> None:
    first, second = make(), make()
    await first.open()
    await second.open()
    async with second.read() as session:
        revisions = set((await session.execute(text("SELECT version_num FROM alembic_version"))).scalars())
    assert revisions == {"durable_0001", "notes_0001"}


def test_file_names_and_contents_must_agree(tmp_path: Path) -> None:
    versions = tmp_path / "versions"
    versions.mkdir()
    (versions / "notes_0001_first.py").touch()
    (versions / "notes_0003_third.py").touch()
    (versions / "other_line_0002_x.py").touch()
    assert newest_revisions([tmp_path]) == {"notes_0003", "other_line_0002"}

    (versions / "nonsense.py").touch()
    with pytest.raises(MigrationError, match=r"nonsense\.py: a migration is named"):
        newest_revisions([tmp_path])


async def test_a_line_that_is_not_what_its_file_names_say_is_refused(make: MakeDatabase, newer: Path) -> None:
    (newer / "versions" / "notes_0002_colour.py").write_text(SECOND.replace("notes_0002", "notes_0005"))
    with pytest.raises(MigrationError, match=r"file names say .*notes_0002.*contents say .*notes_0005"):
        await make(migrations=newer).open()


def test_a_start_with_nothing_to_migrate_does_not_import_alembic(tmp_path: Path) -> None:
    program = (
        "import asyncio, sys; from pathlib import Path; from fireside.runtime.durable import Database\n"
        f"database = Database('sqlite:///{tmp_path}/notes.sqlite', service='notes', migrations=Path('{MIGRATIONS}'))\n"
        "asyncio.run(database.open()); asyncio.run(database.close()); print('alembic' in sys.modules)"
    )
    runs = [
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True) for _ in range(2)
    ]
    assert [run.stdout.strip() for run in runs] == ["True", "False"]
