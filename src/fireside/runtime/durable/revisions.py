"""Which revisions of the schema this version's code expects.

A service's migrations stand in `migrations/versions/<service>_0001_<what>.py` and make one straight line:

    revision = "documents_0001"
    down_revision = None                     # the first; then "documents_0001", "documents_0002" ...
    branch_labels = ("documents",)           # on the first alone

The durable tables have a line of their own in the same database. What the newest revisions are follows from the names
of the files, so that a start with nothing to do neither imports Alembic nor reads a migration.
"""

import re
from pathlib import Path

from fireside.core.errors import ConflictError, InternalError

DURABLE_MIGRATIONS = Path(__file__).parent / "migrations"
_FILE_NAME = re.compile(r"(?P<branch>[a-z][a-z0-9_]*)_(?P<number>\d{4})_[a-z0-9_]+\.py")


class MigrationError(InternalError):
    """The migrations of a service do not make one straight line."""

    code = "migration"


class NewerSchemaError(ConflictError):
    """The database was written by a newer version of Fireside."""

    code = "newer_schema"


def newest_revisions(folders: list[Path]) -> frozenset[str]:
    """The last revision of each line, by the names of the files.

    Raises:
        MigrationError: A file is not named `<line>_<four digits>_<what>.py`.
    """
    newest: dict[str, str] = {}
    for path in sorted(path for folder in folders for path in (folder / "versions").glob("*.py")):
        match = _FILE_NAME.fullmatch(path.name)
        if match is None:
            raise MigrationError(f"{path.name}: a migration is named <service>_<four digits>_<what>.py")
        newest[match["branch"]] = f"{match['branch']}_{match['number']}"
    return frozenset(newest.values())
