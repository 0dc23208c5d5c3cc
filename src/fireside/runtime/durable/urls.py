"""From the URL in a setting to the database of one service.

Every service has its own tables: in a file of its own on SQLite, in a schema of its own on PostgreSQL.
"""

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from fireside.core.errors import InvalidInputError

_POSTGRESQL = frozenset({"postgresql", "postgres", "postgresql+asyncpg"})
_SQLITE = frozenset({"sqlite", "sqlite+aiosqlite"})


class InvalidDatabaseUrlError(InvalidInputError):
    """The URL names no database that Fireside can use."""

    code = "invalid_database_url"


@dataclass(frozen=True, slots=True)
class DatabaseAddress:
    """Where the tables of one service are.

    Attributes:
        url: For SQLAlchemy, with the asynchronous driver.
        schema: The PostgreSQL schema; None on SQLite.
        path: The SQLite file; None on PostgreSQL.
    """

    url: URL
    schema: str | None
    path: Path | None


def database_url(url: str, *, service: str, home: Path) -> str:
    """The URL of one service's database, from a setting that may be shared by all services.

    `sqlite://` is a file in `<home>/db`; `sqlite:///folder/` a file in that folder; anything else is left as it is.

    Raises:
        InvalidDatabaseUrlError: No database is meant by it.
    """
    parsed = _parse(url)
    if parsed.drivername not in _SQLITE:
        return url
    name = parsed.database or f"{(home / 'db').absolute()}/"
    return f"sqlite:///{name}{service}.sqlite" if name.endswith("/") else url


def database_address(url: str, *, service: str) -> DatabaseAddress:
    """Where the tables of a service are.

    Raises:
        InvalidDatabaseUrlError: No database is meant by it, or one in memory, which would not be durable.
    """
    parsed = _parse(url)
    if parsed.drivername in _POSTGRESQL:
        return DatabaseAddress(parsed.set(drivername="postgresql+asyncpg"), service, None)
    if parsed.drivername not in _SQLITE:
        raise InvalidDatabaseUrlError(
            f"no database for scheme {parsed.drivername!r} (sqlite, postgresql)", scheme=parsed.drivername
        )
    name = parsed.database or ""
    if not name or name.endswith("/") or name.startswith((":memory:", "file:")):
        raise InvalidDatabaseUrlError(f"{url!r} names no file; write sqlite:///folder/{service}.sqlite", url=url)
    return DatabaseAddress(parsed.set(drivername="sqlite+aiosqlite"), None, Path(name))


def _parse(url: str) -> URL:
    try:
        return make_url(url)
    except (ArgumentError, ValueError) as error:
        raise InvalidDatabaseUrlError(
            "not a database URL (sqlite:///folder/file.sqlite, postgresql://user:password@host/name)"
        ) from error
