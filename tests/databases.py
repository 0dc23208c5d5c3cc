"""Databases with the tables of a service and nothing in them, on SQLite or PostgreSQL.

A test that takes the fixture `database_url` of its service runs on SQLite; with `on_both_databases` on PostgreSQL too,
and all of them do with FIRESIDE_TEST_DATABASE=postgresql.
"""

import asyncio
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.postgresql import PostgresqlServer, migrate

BOTH = ("sqlite", "postgresql")

on_both_databases = pytest.mark.parametrize("database_url", BOTH, indirect=True)
"""For tests of what databases do differently: parallel changes, constraints, comparison of texts."""

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For tests that look into the file."""


def database_fixture(service: str, migrations: Path | None = None, *, technologies: Sequence[str] | None = None) -> Any:
    """The fixture `database_url` of a service: where the database of one test is.

    Args:
        service: Whose tables it has.
        migrations: The folder of its migrations; None where it has no tables.
        technologies: Every test that takes it runs on each of these; on what the environment says when None.
    """

    def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
        technology = getattr(request, "param", os.environ.get("FIRESIDE_TEST_DATABASE", "sqlite"))
        if technology == "sqlite":
            yield _copied_file(request.getfixturevalue("migrated_files"), tmp_path, service, migrations)
            return
        server: PostgresqlServer = request.getfixturevalue("postgresql_server")
        url = server.create_migrated(service, migrations)
        yield url
        server.drop(url)

    return pytest.fixture(database_url, params=technologies)


def _copied_file(migrated: Path, folder: Path, service: str, migrations: Path | None) -> str:
    name = f"{service}.sqlite"
    if not (migrated / name).exists():
        asyncio.run(migrate(f"sqlite:///{migrated / name}", service, migrations))
    shutil.copy(migrated / name, folder / name)
    return f"sqlite:///{folder / name}"


@pytest.fixture(scope="session")
def migrated_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of SQLite files, one a service, to be copied: making the tables takes long."""
    return tmp_path_factory.mktemp("migrated")
