"""SQLAlchemy engines set up so that a commit survives a power cut and readers never wait for a writer."""

from typing import Any

from sqlalchemy import Connection, event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from fireside.core.errors import UnavailableError
from fireside.runtime.durable.settings import DurableSettings
from fireside.runtime.durable.urls import DatabaseAddress

_PRAGMAS = ("journal_mode = WAL", "synchronous = FULL", "temp_store = MEMORY", "cache_size = -8000")


def writing_engine(address: DatabaseAddress, settings: DurableSettings) -> AsyncEngine:
    """Connections that may change the database: one on SQLite, which has one writer at a time."""
    if address.path is not None:
        engine = _sqlite(address, settings, **_pool(settings, 1))
        _on_connect(engine, ("foreign_keys = ON", "secure_delete = ON"))  # what is erased is overwritten
        _on_begin(engine, "BEGIN IMMEDIATE")
        return engine
    # one more than transactions at once: the health check must not wait for them
    return _postgresql(address, settings, **_pool(settings, settings.writers, max_overflow=1))


def reading_engine(address: DatabaseAddress, settings: DurableSettings) -> AsyncEngine:
    """Connections that may only read, each transaction from one snapshot on SQLite."""
    if address.path is not None:
        engine = _sqlite(address, settings, **_pool(settings, settings.readers))
        _on_connect(engine, ("query_only = ON",))
        _on_begin(engine, "BEGIN")
        return engine
    engine = _postgresql(address, settings, **_pool(settings, settings.readers))
    return engine.execution_options(postgresql_readonly=True)


def migrating_engine(address: DatabaseAddress, settings: DurableSettings) -> AsyncEngine:
    """One connection that changes the schema; foreign keys are off, because tables are made anew on SQLite."""
    if address.path is not None:
        engine = _sqlite(address, settings, poolclass=NullPool)
        _on_connect(engine, ("foreign_keys = OFF",))
        _on_begin(engine, "BEGIN IMMEDIATE")
        return engine
    return _postgresql(address, settings, poolclass=NullPool)


async def empty_write_ahead_log(engine: AsyncEngine) -> bool:
    """Carry what SQLite's log of writes holds into its file, and empty it.

    Returns:
        False when somebody still read from it.
    """
    async with engine.connect() as connection:
        driver = (await connection.get_raw_connection()).driver_connection  # no transaction may be open
        if driver is None:
            return False
        (busy, *_) = await (await driver.execute("PRAGMA wal_checkpoint(TRUNCATE)")).fetchone()
        return not busy


def _pool(settings: DurableSettings, connections: int, *, max_overflow: int = 0) -> dict[str, Any]:
    return {"pool_size": connections, "max_overflow": max_overflow, "pool_timeout": settings.pool_wait_s}


def _sqlite(address: DatabaseAddress, settings: DurableSettings, **pool: Any) -> AsyncEngine:
    engine = create_async_engine(address.url, connect_args={"timeout": settings.busy_timeout_s}, **pool)
    _on_connect(engine, _PRAGMAS)
    return engine


def _postgresql(address: DatabaseAddress, settings: DurableSettings, **pool: Any) -> AsyncEngine:
    server = {"search_path": f'"{address.schema}"', "application_name": f"fireside-{address.schema}"}
    if "poolclass" not in pool:  # migrations may take long
        pool["pool_pre_ping"] = settings.pre_ping
        server |= {name: str(round(seconds * 1000)) for name, seconds in _time_limits(settings).items()}
    arguments = {"server_settings": server, "timeout": settings.connect_timeout_s}
    try:
        return create_async_engine(address.url, connect_args=arguments, **pool)
    except ModuleNotFoundError as error:
        raise UnavailableError("PostgreSQL needs a driver: pip install 'fireside-ai[postgresql]'") from error


def _time_limits(settings: DurableSettings) -> dict[str, float]:
    return {
        "statement_timeout": settings.statement_timeout_s,
        "lock_timeout": settings.lock_timeout_s,
        "idle_in_transaction_session_timeout": settings.idle_transaction_timeout_s,
    }


def _on_connect(engine: AsyncEngine, pragmas: tuple[str, ...]) -> None:
    def prepare(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # the driver's own transactions begin too late and end at DDL
        cursor = connection.cursor()
        for pragma in pragmas:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    event.listen(engine.sync_engine, "connect", prepare)


def _on_begin(engine: AsyncEngine, statement: str) -> None:
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql(statement)

    event.listen(engine.sync_engine, "begin", begin)
