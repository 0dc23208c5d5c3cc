"""What is asked for again and again, remembered from one start of a node to the next.

A cache that was emptied, or that begins with its process, is filled with it before anybody asks again. Who may see what
is not decided here: what is remembered is how to ask, or what is the same for everybody.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic

from pydantic import BaseModel, TypeAdapter, ValidationError

from fireside.core.clock import Clock
from fireside.core.tasks import end
from fireside.ports.node_notes import NodeNotes
from fireside.runtime.caching.namespace import ValueT

_AGAIN = 2
"""So often something must have been asked for to be expected again."""
_WITHIN_S = 24 * 3600.0
"""How long ago it may have been asked for last."""


class _Noted(BaseModel):
    """One value in the notes; `value` is its JSON."""

    key: str
    uses: int
    last: float
    value: str


_FORMAT = TypeAdapter(list[_Noted])


@dataclass(slots=True)
class _Asked(Generic[ValueT]):
    value: ValueT
    uses: int
    last: float


class Often(Generic[ValueT]):
    """Counts what is asked for, and tells what was asked for most often within a day."""

    def __init__(
        self,
        adapter: TypeAdapter[ValueT],
        *,
        most: int,
        clock: Clock,
        notes: NodeNotes | None = None,
        note_every_s: float = 300.0,
    ) -> None:
        """Remember nothing yet.

        Args:
            adapter: Writes and reads values as JSON.
            most: How many values are remembered; 0 for none.
            clock: Tells the time.
            notes: Where the process after this one finds them; without, they end with the process.
            note_every_s: Time between two writings of the notes, in seconds; who is killed forgets what came since.
        """
        self._adapter, self._most, self._clock, self._notes = adapter, most, clock, notes
        self._note_every_s = note_every_s
        self._asked: dict[str, _Asked[ValueT]] = {}
        self._written: object = None
        self._noting: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Read what was noted before this process, and begin to note."""
        if self._notes is None or not self._most:
            return
        self._take_over(await asyncio.to_thread(self._notes.read))
        self._noting = asyncio.create_task(self._note_regularly(self._notes))

    async def stop(self) -> None:
        """Note what is known now."""
        await end(self._noting)
        if self._noting is not None and self._notes is not None:
            await self._write(self._notes)
        self._noting = None

    def note(self, key: str, value: ValueT) -> None:
        """Somebody asked for this."""
        if not self._most:
            return
        known = self._asked.get(key)
        uses = 1 if known is None else known.uses + 1
        self._asked[key] = _Asked(value, uses, self._clock.now().timestamp())
        if len(self._asked) > 2 * self._most:
            self._asked = dict(self._ranked()[: self._most])

    def forget(self, gone: Callable[[ValueT], bool]) -> None:
        """Remember those values no more for which the function says so."""
        self._asked = {key: asked for key, asked in self._asked.items() if not gone(asked.value)}

    def best(self) -> dict[str, ValueT]:
        """What was asked for at least twice, and within a day, by key; most often first."""
        since = self._clock.now().timestamp() - _WITHIN_S
        expected = [pair for pair in self._ranked() if pair[1].uses >= _AGAIN and pair[1].last > since]
        return {key: asked.value for key, asked in expected[: self._most]}

    def _ranked(self) -> list[tuple[str, _Asked[ValueT]]]:
        return sorted(self._asked.items(), key=lambda pair: (-pair[1].uses, -pair[1].last))

    def _take_over(self, notes: Mapping[str, Any]) -> None:
        try:
            noted = _FORMAT.validate_python(notes.get("asked", []))
            found = {one.key: _Asked(self._adapter.validate_json(one.value), one.uses, one.last) for one in noted}
        except ValidationError:  # written by another version of this program
            return
        self._asked = found | self._asked

    async def _note_regularly(self, notes: NodeNotes) -> None:
        while True:
            await asyncio.sleep(self._note_every_s)
            await self._write(notes)

    async def _write(self, notes: NodeNotes) -> None:
        kept = [(key, self._asked[key]) for key in self.best()]
        state = [(key, asked.uses) for key, asked in kept]
        if state != self._written:
            self._written = state
            await asyncio.to_thread(self._write_now, notes, kept)

    def _write_now(self, notes: NodeNotes, kept: list[tuple[str, _Asked[ValueT]]]) -> None:
        noted = [
            _Noted(key=key, uses=asked.uses, last=asked.last, value=self._adapter.dump_json(asked.value).decode())
            for key, asked in kept
        ]
        notes.write({"asked": _FORMAT.dump_python(noted)})
