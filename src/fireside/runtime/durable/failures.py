"""What drivers raise, as Fireside's own errors. An `IntegrityError` stays: only the repository knows its meaning."""

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from fireside.core.errors import FiresideError, UnavailableError

_SQLITE_CAUSES = {
    "database is locked": "the database is locked by another program",
    "database table is locked": "the database is locked by another program",
    "disk i/o error": "the disk reports an error",
    "unable to open database file": "the database file cannot be opened",
    "database disk image is malformed": "the database file is damaged: restore a backup",
    "file is not a database": "the database file is damaged: restore a backup",
}
_SQLITE_READ_ONLY = {
    "database or disk is full": "the disk is full: nothing can be stored until there is room again",
    "attempt to write a readonly database": "the database file may not be written",
}
_POSTGRESQL_CAUSES = {
    "08": "the connection to the database failed",
    "25P03": "a transaction did nothing for too long and was ended (FIRESIDE_DURABLE_IDLE_TRANSACTION_TIMEOUT_S)",
    "40001": "the database could not order parallel changes",
    "40P01": "the database could not order parallel changes",
    "53": "the database has run out of room or connections",
    "55P03": "another transaction held a lock for too long (FIRESIDE_DURABLE_LOCK_TIMEOUT_S)",
    "57": "the database is shutting down or starting",
    "57014": "a statement took too long and was ended (FIRESIDE_DURABLE_STATEMENT_TIMEOUT_S)",
}
_POSTGRESQL_REFUSALS = {
    "28": "the server refuses the user or the password",
    "3D000": "the server has no such database",
}
_POSTGRESQL_READ_ONLY = {
    "25006": "the database may only be read at the moment",
    "53100": "the disk of the database is full: nothing can be stored until there is room again",
}


class DatabaseUnavailableError(UnavailableError):
    """The database cannot be used at the moment."""

    code = "database_unavailable"


class DatabaseRefusedError(DatabaseUnavailableError):
    """The server is there, and does not let Fireside in."""

    code = "database_refused"


class DatabaseReadOnlyError(DatabaseUnavailableError):
    """The database takes no changes at the moment; what is in it can be read."""

    code = "database_read_only"


@contextmanager
def translated_failures(
    service: str, *, read_only: Callable[[DatabaseReadOnlyError], None] | None = None
) -> Generator[None]:
    """Raise what a driver raises inside as an error that says what is wrong.

    Args:
        service: Whose database it is.
        read_only: Told of a change that was refused.

    Raises:
        DatabaseUnavailableError: The database is locked, busy or gone.
        DatabaseReadOnlyError: It is full, or not to be written.
    """
    try:
        yield
    except IntegrityError:
        raise
    except (DBAPIError, PoolTimeoutError, ConnectionError) as error:
        translated = _translate(error, service)
        if translated is None:
            raise
        if read_only is not None and isinstance(translated, DatabaseReadOnlyError):
            read_only(translated)
        raise translated from error


def _translate(error: Exception, service: str) -> FiresideError | None:
    if isinstance(error, DBAPIError):
        if (refusal := _found(error, _POSTGRESQL_READ_ONLY, _SQLITE_READ_ONLY)) is not None:
            return DatabaseReadOnlyError(f"{service}: {refusal}", service=service)
        if (refusal := _found(error, _POSTGRESQL_REFUSALS, {})) is not None:
            return DatabaseRefusedError(f"{service}: {refusal}", service=service)
    cause = _cause(error)
    return None if cause is None else DatabaseUnavailableError(f"{service}: {cause}", service=service)


def _cause(error: Exception) -> str | None:
    if isinstance(error, PoolTimeoutError):
        return "all connections to the database are in use (FIRESIDE_DURABLE_READERS, FIRESIDE_DURABLE_WRITERS)"
    if not isinstance(error, DBAPIError):
        return "the database cannot be reached"
    if error.connection_invalidated:
        return "the connection to the database was lost"
    return _found(error, _POSTGRESQL_CAUSES, _SQLITE_CAUSES)


def _found(error: DBAPIError, states: Mapping[str, str], texts: Mapping[str, str]) -> str | None:
    state = str(getattr(error.orig, "sqlstate", None) or "")
    for known in (state, state[:2]):
        if known in states:
            return states[known]
    text = str(error.orig).lower()
    return next((cause for sign, cause in texts.items() if sign in text), None)
