"""What nobody asks for and has to be done: ending answers whose writer is gone, erasing what was deleted long ago."""

import asyncio
from datetime import timedelta

import structlog

from fireside.contracts.conversation import ConversationErased, NumberedEvent
from fireside.core.clock import Clock
from fireside.ports.conversation_records import EventBatch, MessageRecord
from fireside.ports.conversation_store import ConversationStore, ConversationWork
from fireside.services.chat import endings
from fireside.services.chat.posting import index_message
from fireside.services.chat.settings import ChatSettings
from fireside.services.chat.stored_responses import ResponseBook
from fireside.services.chat.transcript import batch_of, events_of
from fireside.services.chat.views import replayed
from fireside.services.chat.writing import AnswerWriter

log = structlog.stdlib.get_logger(__name__)

_SKIPPED_IDS = 1_000_000
_ERASED_AT_ONCE = 50


class Housekeeping:
    """Runs at the start and then again and again."""

    def __init__(
        self,
        *,
        store: ConversationStore,
        writer: AnswerWriter,
        responses: ResponseBook,
        settings: ChatSettings,
        clock: Clock,
    ) -> None:
        self._store = store
        self._responses = responses
        self._writer = writer
        self._settings = settings
        self._clock = clock

    async def run_forever(self) -> None:
        """Do everything, at once and at every interval, until cancelled."""
        while True:
            try:
                await self.give_up_abandoned()
                await self.erase_deleted()
                await self._responses.erase_expired()
            except Exception:  # the outermost loop; it is tried again at the next interval
                log.exception("chat_housekeeping_failed")
            await asyncio.sleep(self._settings.sweep_interval_s)

    async def give_up_abandoned(self) -> None:
        """Mark answers as interrupted whose node crashed or went silent; the text that was stored is kept."""
        writer, now = self._writer, self._clock.now()
        async with self._store.read() as reads:
            if not await reads.abandoned_answers(node_id=writer.node_id, boot_id=writer.boot_id, now=now):
                return
        async with self._store.transaction() as work:
            for answer in await work.abandoned_answers(node_id=writer.node_id, boot_id=writer.boot_id, now=now):
                if writer.find(answer.id) is None:
                    await self._give_up(work, answer)

    async def erase_deleted(self) -> None:
        """Erase conversations for good whose time for being restored is over."""
        limit = self._clock.now() - timedelta(days=self._settings.deleted_retention_days)
        while True:
            async with self._store.transaction() as work:
                over = await work.deleted_before(limit, limit=_ERASED_AT_ONCE)
                for conversation in over:
                    await work.erase_conversation(conversation.id)
                    work.emit(ConversationErased(conversation_id=conversation.id, owner_id=conversation.owner_id))
            if len(over) < _ERASED_AT_ONCE:
                return

    async def _give_up(self, work: ConversationWork, answer: MessageRecord) -> None:
        batches = await work.event_batches(answer.id, after=0)
        transcript, ending = replayed(batches), endings.interrupted()
        for event in ending.events:
            transcript.add(event)
        finished = endings.ended(answer, transcript, ending.state, self._clock.now())
        if await work.finish_answer(finished, _with_ending(answer, batches, ending)):
            await index_message(work, finished)
            work.emit(endings.fact_of(finished))
            log.warning("answer_interrupted", message_id=str(answer.id), text_chars=len(finished.content))


def _with_ending(answer: MessageRecord, batches: list[EventBatch], ending: endings.Ending) -> EventBatch:
    """All stored events and the ending.

    The ending's ids skip far ahead: readers may have seen events that were lost before they were stored, and ids never
    go back.
    """
    stored = [event for batch in batches for event in events_of(batch)]
    first = (stored[-1].id if stored else 0) + _SKIPPED_IDS
    last = [
        NumberedEvent(id=number, message_id=answer.id, event=event) for number, event in enumerate(ending.events, first)
    ]
    return batch_of(answer.id, [*stored, *last])
