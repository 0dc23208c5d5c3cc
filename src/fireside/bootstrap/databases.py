"""The database of each service that keeps something."""

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pydantic import Field, create_model
from pydantic_settings import BaseSettings

from fireside.bootstrap.environment import SettingsError, read_settings
from fireside.bootstrap.settings import Settings
from fireside.ports.event_stream import EventStream
from fireside.runtime.durable import Database, DurableSettings, database_url
from fireside.runtime.durable.urls import InvalidDatabaseUrlError

SERVICES_WITH_DATABASES = ("auth", "admin", "chat", "documents", "explore", "usage")
SERVICES_WITH_JOBS = ("documents", "explore")

_FIELDS: dict[str, Any] = {
    f"fireside_{service}_database_url": (
        str,
        Field(default="", description="Database of this service alone; FIRESIDE_DATABASE_URL otherwise."),
    )
    for service in SERVICES_WITH_DATABASES
}
OwnDatabases = create_model(
    "OwnDatabases", __base__=BaseSettings, __module__=__name__, __doc__="Databases of single services.", **_FIELDS
)
"""For those who look at all settings."""

_SHARED = "FIRESIDE_DATABASE_URL"


def make_database(settings: Settings, service: str, *, stream: EventStream | None = None) -> Database:
    """The database of one service, not yet open: its own when `FIRESIDE_<SERVICE>_DATABASE_URL` names one.

    Raises:
        SettingsError: The URL names no database that Fireside can use.
    """
    durable = read_settings(DurableSettings)
    if "node_id" not in durable.model_fields_set:
        durable = durable.model_copy(update={"node_id": settings.node_id})
    own = f"FIRESIDE_{service.upper()}_DATABASE_URL"
    variable, url = (own, os.environ[own]) if os.environ.get(own) else (_SHARED, settings.database_url)
    try:
        return Database(
            database_url(url, service=service, home=settings.folder),
            service=service,
            migrations=_migrations(service),
            stream=stream,
            settings=durable,
        )
    except InvalidDatabaseUrlError as error:
        raise SettingsError(f"{variable}: {error.message}") from error


async def migrate_all(settings: Settings) -> list[str]:
    """Bring every database up to date; returns the names of their services."""
    for service in SERVICES_WITH_DATABASES:
        database = make_database(settings, service)
        await database.open()
        await database.close()
    return list(SERVICES_WITH_DATABASES)


def _migrations(service: str) -> Path | None:
    """The folder of a service's migrations; None when all that it keeps is its log."""
    spec = find_spec(f"fireside.services.{service}")
    folders = list(spec.submodule_search_locations or []) if spec else []
    migrations = Path(folders[0], "migrations")
    return migrations if migrations.is_dir() else None
