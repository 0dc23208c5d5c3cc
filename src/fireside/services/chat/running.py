"""An answer while it is being written: its events so far, those who read along, and the wish to end it."""

import asyncio
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import contextmanager
from typing import Literal

from fireside.contracts.answer import AnswerEvent
from fireside.contracts.conversation import NumberedEvent
from fireside.ports.conversation_records import EventBatch, MessageRecord
from fireside.services.chat.transcript import Transcript, batch_of

EndReason = Literal["stopped", "interrupted"]


class RunningAnswer:
    """The one log of an answer's events in memory.

    Readers hold a place in it, never a copy, so that a slow one costs nothing and holds nobody up. Events are
    numbered from 1 without gaps.
    """

    def __init__(self, answer: MessageRecord) -> None:
        self.answer = answer
        self.transcript = Transcript()
        self.end_reason: EndReason | None = None
        self._events: list[NumberedEvent] = []
        self._saved = 0
        self._ended = False
        self._changed = asyncio.Event()
        self._writer: asyncio.Task[object] | None = None

    @property
    def unsaved(self) -> int:
        """How many events are not stored yet."""
        return len(self._events) - self._saved

    def add(self, event: AnswerEvent) -> None:
        """Take the next event in and show it to the readers."""
        self.transcript.add(event)
        self._events.extend(self._numbered((event,)))
        self._wake()

    def batch_ending_with(self, endings: Sequence[AnswerEvent]) -> EventBatch:
        """All events and the last ones as one batch; the last ones are not shown by this."""
        return batch_of(self.answer.id, [*self._events, *self._numbered(endings)])

    def unsaved_batch(self) -> EventBatch | None:
        """The events that are not stored yet; None when all are."""
        return batch_of(self.answer.id, self._events[self._saved :]) if self.unsaved else None

    def mark_saved(self, batch: EventBatch) -> None:
        """Note that a batch made by `unsaved_batch` is stored."""
        self._saved = batch.last_id

    def end(self, endings: Sequence[AnswerEvent]) -> None:
        """Show the last events; readers go once they have read everything."""
        self._events.extend(self._numbered(endings))
        self._ended = True
        self._wake()

    @contextmanager
    def cancellable(self) -> Generator[None]:
        """The block may be cancelled by `cancel`, and by nobody else's wish afterwards.

        Raises:
            CancelledError: Someone wished so, now or before the block began.
        """
        if self.end_reason is not None:
            raise asyncio.CancelledError
        self._writer = asyncio.current_task()
        try:
            yield
        finally:
            self._writer = None

    def cancel(self, reason: EndReason) -> None:
        """Have the answer end where it is, unless it is ending already. The first reason counts."""
        if self.end_reason is not None or self._ended:
            return
        self.end_reason = reason
        if self._writer is not None:
            self._writer.cancel()

    async def wait_ended(self) -> None:
        """Return once nothing follows any more."""
        while not self._ended:
            await self._changed.wait()

    async def follow(self, after: int) -> AsyncGenerator[NumberedEvent]:
        """The events with ids above `after`, those to come included."""
        place = after
        while True:
            while place < len(self._events):
                place += 1
                yield self._events[place - 1]
            if self._ended:
                return
            await self._changed.wait()

    def _numbered(self, events: Sequence[AnswerEvent]) -> list[NumberedEvent]:
        return [
            NumberedEvent(id=number, message_id=self.answer.id, event=event)
            for number, event in enumerate(events, len(self._events) + 1)
        ]

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
