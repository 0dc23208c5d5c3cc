"""Brings a database to the schema that this version's code expects."""

import asyncio
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from fireside.runtime.durable.settings import DurableSettings
from fireside.runtime.durable.urls import DatabaseAddress


async def present_revisions(engine: AsyncEngine) -> frozenset[str]:
    """The revisions that the database holds; none for an empty database."""
    async with engine.connect() as connection:
        try:
            rows = await connection.execute(text("SELECT version_num FROM alembic_version"))
        except DBAPIError as error:
            if "alembic_version" in str(error.orig):
                return frozenset()
            raise
        return frozenset(str(row[0]) for row in rows)


async def upgrade(address: DatabaseAddress, settings: DurableSettings, folders: list[Path]) -> None:
    """Apply every migration that the database lacks, in one transaction each time.

    Raises:
        MigrationError: The migrations do not make one straight line for each folder.
        NewerSchemaError: The database holds a revision that this version does not know.
    """
    await _run(address, settings, folders, "heads")


async def downgrade(address: DatabaseAddress, settings: DurableSettings, folders: list[Path], revision: str) -> None:
    """Take migrations back until the revision (`documents_0001`, or `documents@base` for before the first)."""
    await _run(address, settings, folders, revision)


async def _run(address: DatabaseAddress, settings: DurableSettings, folders: list[Path], revision: str) -> None:
    from fireside.runtime.durable import alembic_run  # noqa: PLC0415 - Alembic takes 0.2 s and is seldom needed

    await asyncio.to_thread(alembic_run.migrate, address, settings, folders, revision)
