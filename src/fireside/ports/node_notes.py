"""What a node remembers of itself when it starts again: a small document that is lost with the node, and may be."""

from collections.abc import Mapping
from typing import Any, Protocol


class NodeNotes(Protocol):
    """One document. Blocking: call from a thread."""

    def read(self) -> Mapping[str, Any]:
        """What was written last; empty when there is nothing that can be read."""
        ...

    def write(self, notes: Mapping[str, Any]) -> None:
        """Replace it. What cannot be written is not remembered."""
        ...
