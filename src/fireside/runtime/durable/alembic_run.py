"""Runs Alembic. Imported only when there is something to migrate.

Alembic's `op` is one for the whole process, so migrations run one after another, each in a thread with an event loop
of its own; the node's loop goes on meanwhile.
"""

import asyncio
import threading
from pathlib import Path
from typing import Any
from zlib import crc32

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from alembic.script.revision import ResolutionError
from sqlalchemy import Connection, text

from fireside.runtime.durable.engine import migrating_engine
from fireside.runtime.durable.revisions import MigrationError, NewerSchemaError, newest_revisions
from fireside.runtime.durable.settings import DurableSettings
from fireside.runtime.durable.urls import DatabaseAddress

_ONE_AT_A_TIME = threading.Lock()


def migrate(address: DatabaseAddress, settings: DurableSettings, folders: list[Path], revision: str) -> None:
    """Go up to `heads`, or down to a revision. Blocks; two processes that do this at once do it in turn."""
    script = ScriptDirectory(
        str(folders[0]), version_locations=[str(folder / "versions") for folder in folders], truncate_slug_length=40
    )
    expected, found = newest_revisions(folders), frozenset(script.get_heads())
    if expected != found:
        raise MigrationError(
            f"file names say the newest revisions are {sorted(expected)}, their contents say {sorted(found)}"
        )
    with _ONE_AT_A_TIME:
        asyncio.run(_migrate(address, settings, script, revision))


async def _migrate(address: DatabaseAddress, settings: DurableSettings, script: ScriptDirectory, revision: str) -> None:
    engine = migrating_engine(address, settings)
    try:
        async with engine.begin() as connection:
            if address.schema is not None:
                lock = crc32(f"fireside migrations {address.schema}".encode())
                await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": lock})
                await connection.execute(text(f'CREATE SCHEMA IF NOT EXISTS "{address.schema}"'))
            await connection.run_sync(_run, script, revision)
            if address.path is not None:
                await connection.run_sync(_check_foreign_keys)
    finally:
        await engine.dispose()


def _run(connection: Connection, script: ScriptDirectory, revision: str) -> None:
    def steps(present: Any, _context: Any) -> Any:
        _refuse_unknown(script, present)
        # as alembic.command does; its public way needs an env.py and a configuration file
        if revision == "heads":
            return script._upgrade_revs("heads", present)  # pyright: ignore[reportPrivateUsage]
        return script._downgrade_revs(revision, present)  # pyright: ignore[reportPrivateUsage]

    with EnvironmentContext(Config(), script, fn=steps, destination_rev=revision) as environment:
        environment.configure(connection=connection, transactional_ddl=True, transaction_per_migration=False)
        environment.run_migrations()


def _refuse_unknown(script: ScriptDirectory, present: tuple[str, ...]) -> None:
    for revision in present:
        try:
            script.revision_map.get_revision(revision)
        except ResolutionError as error:
            raise NewerSchemaError(
                f"the database holds revision {revision}, which this version does not know: use the version that wrote "
                "it, or restore a backup",
                revision=revision,
            ) from error


def _check_foreign_keys(connection: Connection) -> None:
    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
    if broken:
        raise MigrationError(f"a migration left rows that point nowhere: {[tuple(row) for row in broken[:5]]}")
