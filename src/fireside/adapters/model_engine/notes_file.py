"""The notes of a node as a file of JSON."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import orjson


class NotesFile:
    """One file, replaced whole."""

    def __init__(self, path: Path) -> None:
        """Keep the notes here; the folder is made when they are written first."""
        self._path = path

    def read(self) -> Mapping[str, Any]:
        """What was written last; empty when there is no such file, or no such notes in it."""
        with suppress(OSError, orjson.JSONDecodeError):
            notes: Any = orjson.loads(self._path.read_bytes())
            if isinstance(notes, dict):
                return cast("dict[str, Any]", notes)
        return {}

    def write(self, notes: Mapping[str, Any]) -> None:
        """Replace the file at once, so that a kill leaves the old one or the new one."""
        beside = self._path.with_suffix(".new")
        with suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            beside.write_bytes(orjson.dumps(notes))
            beside.replace(self._path)
