"""PostgreSQL for tests: databases of this run's own on a server that is there; tests are skipped where none is."""

import asyncio
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep
from typing import Any
from uuid import uuid4

import pytest

from fireside.runtime.durable import Database
from fireside.testing.cluster import free_port
from fireside.testing.orphans import guard, release
from tests.needs import need

PROGRAMS = Path(os.environ.get("FIRESIDE_TEST_POSTGRESQL_PROGRAMS", "/usr/lib/postgresql/15/bin"))
SERVER = os.environ.get("FIRESIDE_TEST_POSTGRESQL_URL", "postgresql://postgres@127.0.0.1:5432/postgres")


def execute(url: str, statement: str) -> None:
    """Run statements outside of any transaction."""
    asyncio.run(_execute(url, statement))


async def _execute(url: str, statement: str) -> None:
    import asyncpg  # noqa: PLC0415 - only tests that need PostgreSQL need its driver

    connection = await asyncpg.connect(url, timeout=10)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def fetch_all(url: str, query: str) -> list[tuple[Any, ...]]:
    """The rows that a query gives."""
    import asyncpg  # noqa: PLC0415 - see above

    connection = await asyncpg.connect(url, timeout=10)
    try:
        return [tuple(row) for row in await connection.fetch(query)]
    finally:
        await connection.close()


@dataclass
class PostgresqlServer:
    """A server, and the databases that were made on it."""

    url: str
    databases: list[str] = field(default_factory=list)
    migrated: dict[str, str] = field(default_factory=dict)

    def create(self, *, template: str = "template1") -> str:
        """The URL of a new database: an empty one, or a copy of one that nobody uses at the moment."""
        name = f"fireside_{uuid4().hex}"
        execute(self.url, f"CREATE DATABASE {name} TEMPLATE {template.rsplit('/', 1)[-1]}")
        self.databases.append(name)
        return f"{self.url.rsplit('/', 1)[0]}/{name}"

    def drop(self, url: str) -> None:
        """Remove a database, whoever uses it."""
        name = url.rsplit("/", 1)[-1]
        self.databases.remove(name)
        execute(self.url, f"DROP DATABASE {name} WITH (FORCE)")

    def create_migrated(self, service: str, migrations: Path | None) -> str:
        """The URL of a new database with the tables of a service; they are made once and copied."""
        if service not in self.migrated:
            self.migrated[service] = self.create()
            asyncio.run(migrate(self.migrated[service], service, migrations))
        return self.create(template=self.migrated[service])


async def migrate(url: str, service: str, migrations: Path | None) -> None:
    """Make the tables of a service."""
    database = Database(url, service=service, migrations=migrations)
    await database.open()
    await database.close()


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgresqlServer]:
    """The server; what is left on it in the end is removed."""
    server = PostgresqlServer(SERVER)
    try:
        execute(SERVER, "SELECT 1")
    except (ImportError, OSError, TimeoutError) as error:
        need(present=False, what=f"a PostgreSQL server at {SERVER}: {error}")
    yield server
    for name in tuple(server.databases):
        server.drop(name)


@pytest.fixture(scope="session")
def postgresql_url(postgresql_server: PostgresqlServer) -> str:
    """A database of this run's own."""
    return postgresql_server.create()


@dataclass
class OwnCluster:
    """A PostgreSQL server of a test's own, which it may stop and start.

    Attributes:
        url: Of its only database.
    """

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def start(self, *, fsync: bool = False) -> None:
        """Start, and wait until it answers. Without `fsync` it is quicker, and not safe from the machine's failure."""
        command = [str(PROGRAMS / "postgres"), "-D", str(self.folder), "-p", str(self.port), "-k", str(self.folder)]
        command += ["-c", "listen_addresses=127.0.0.1", "-c", f"fsync={'on' if fsync else 'off'}"]
        command += ["-c", "max_connections=100"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **_as_postgres())
        guard(self.process.pid)
        deadline = monotonic() + 30
        while True:
            try:
                execute(self.url, "SELECT 1")
            except Exception:
                if monotonic() > deadline or self.process.poll() is not None:
                    raise
                sleep(0.02)
            else:
                return

    def stop(self) -> None:
        """Stop at once; what was committed is there after the next start."""
        if self.process is not None:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait(30)
            release(self.process.pid)
            self.process = None


def _as_postgres() -> dict[str, Any]:
    """PostgreSQL refuses to run as root."""
    return {"user": "postgres", "group": "postgres", "cwd": "/"} if os.geteuid() == 0 else {"cwd": "/"}


@contextmanager
def new_cluster() -> Iterator[OwnCluster]:
    """A server that does not run yet, in a folder that is gone after the context; making it takes seconds."""
    need(present=(PROGRAMS / "initdb").exists(), what=f"the programs of PostgreSQL in {PROGRAMS}")
    with TemporaryDirectory(prefix="fireside-postgresql-") as place:
        folder = Path(place, "data")
        if os.geteuid() == 0:
            shutil.chown(place, "postgres", "postgres")
        command = [str(PROGRAMS / "initdb"), "-D", str(folder), "-U", "postgres", "-A", "trust", "--no-sync"]
        subprocess.run(command, check=True, capture_output=True, **_as_postgres())
        cluster = OwnCluster(folder, free_port())
        try:
            yield cluster
        finally:
            cluster.stop()


@pytest.fixture(scope="session")
def cluster() -> Iterator[OwnCluster]:
    """A server, made once."""
    with new_cluster() as cluster:
        yield cluster


_DROP_SCHEMAS = r"""
SET default_transaction_read_only = off;
DO $$
DECLARE kept name;
BEGIN
    FOR kept IN SELECT nspname FROM pg_namespace WHERE nspname !~ '^(pg_|public$|information_schema$)' LOOP
        EXECUTE format('DROP SCHEMA %I CASCADE', kept);
    END LOOP;
END $$
"""


@pytest.fixture
def own_cluster(cluster: OwnCluster) -> Iterator[OwnCluster]:
    """A server that runs, with no tables in it and no settings of the test before."""
    cluster.start()
    yield cluster
    if cluster.process is None:
        cluster.start()
    execute(cluster.url, "ALTER SYSTEM RESET ALL")
    execute(cluster.url, "BEGIN READ WRITE; ALTER DATABASE postgres RESET ALL; COMMIT")
    execute(cluster.url, _DROP_SCHEMAS)
    cluster.stop()
