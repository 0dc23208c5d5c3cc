"""What a node has loaded, and what it has seen of models, from one start to the next."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from fireside.ports.node_notes import NodeNotes

_SPEED_SHARE = 0.2


@dataclass(slots=True)
class Seen:
    """What was seen of a model: `tokens_per_s` is an average in which later answers count more."""

    answers: int = 0
    tokens_per_s: float | None = None

    def note(self, tokens: int, seconds: float) -> None:
        """Note an answer of so many tokens that took so long from its first one."""
        self.answers += 1
        if tokens > 1 and seconds > 0:
            speed = (tokens - 1) / seconds
            known = speed if self.tokens_per_s is None else self.tokens_per_s
            self.tokens_per_s = known + _SPEED_SHARE * (speed - known)


@dataclass(frozen=True, slots=True)
class _Notes:
    loaded: list[str]
    seen: dict[str, Seen]


_FORMAT = TypeAdapter(_Notes)


class WarmStart:
    """Keeps notes of one node; without a place for them nothing outlasts the process."""

    def __init__(self, notes: NodeNotes | None = None) -> None:
        """Remember nothing yet."""
        self._notes = notes
        self._written: Mapping[str, Any] = {}
        self.loaded: list[str] = []
        """Keys of the models that were loaded when the node ended, used last first."""
        self.seen: dict[str, Seen] = {}

    async def recall(self) -> None:
        """Read what was noted before this start."""
        if self._notes is None:
            return
        self._written = await asyncio.to_thread(self._notes.read)
        try:
            known = _FORMAT.validate_python(self._written)
        except ValidationError:
            return
        self.loaded, self.seen = known.loaded, known.seen

    async def note(self, loaded: Iterable[str]) -> None:
        """Note what is loaded now, used last first, and what was seen so far."""
        notes = asdict(_Notes(list(loaded), self.seen))
        if self._notes is not None and notes != self._written:
            self._written = notes
            await asyncio.to_thread(self._notes.write, notes)
