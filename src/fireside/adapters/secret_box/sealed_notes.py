"""The notes of a node, sealed before they are written."""

from base64 import b64decode, b64encode
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, cast

import orjson

from fireside.ports.node_notes import NodeNotes
from fireside.ports.secret_box import SecretBox, SecretUnreadableError


class SealedNotes:
    """NodeNotes around others. Notes that cannot be opened count as none."""

    def __init__(self, notes: NodeNotes, box: SecretBox, *, place: str) -> None:
        """Seal for this place, such as `documents.searches`, and keep them in those notes."""
        self._notes, self._box, self._place = notes, box, place

    def read(self) -> Mapping[str, Any]:
        """What was written last; empty when there is nothing that can be read."""
        with suppress(SecretUnreadableError, ValueError, TypeError):
            found = orjson.loads(self._box.open(b64decode(self._notes.read().get("sealed", "")), place=self._place))
            if isinstance(found, dict):
                return cast("dict[str, Any]", found)
        return {}

    def write(self, notes: Mapping[str, Any]) -> None:
        """Replace it."""
        sealed = self._box.seal(orjson.dumps(notes), place=self._place)
        self._notes.write({"sealed": b64encode(sealed).decode()})
