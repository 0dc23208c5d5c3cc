"""Any conversation store, with its texts sealed: what people and models wrote never reaches a disk in the clear.

Titles, notes, messages with their details, events of answers and comments of ratings are sealed, each for its own
place. Times, states, tags and the index of words are not: docs/decisions/messages-are-sealed-before-they-are-stored.md.
"""

from base64 import b64decode, b64encode
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from fireside.core.ids import ConversationId, MessageId, UserId
from fireside.ports.conversation_records import (
    ConversationFilter,
    ConversationKey,
    ConversationRecord,
    EventBatch,
    FeedbackRecord,
    HitKey,
    MessageRecord,
    WordHit,
)
from fireside.ports.conversation_store import Cause, ConversationReads, ConversationStore, ConversationWork, Fact
from fireside.ports.secret_box import SecretBox


@dataclass(frozen=True, slots=True)
class RecordSeals:
    """Seals records on their way into a store, and opens them on their way out."""

    box: SecretBox

    def sealed_conversation(self, plain: ConversationRecord) -> ConversationRecord:
        """As it is stored."""
        note = plain.authors_note
        return replace(
            plain,
            title=self._seal(plain.title, f"chat.title:{plain.id}"),
            authors_note=None if note is None else self._seal(note, f"chat.note:{plain.id}"),
        )

    def conversation(self, sealed: ConversationRecord) -> ConversationRecord:
        """As it was before it was sealed."""
        note = sealed.authors_note
        return replace(
            sealed,
            title=self._open(sealed.title, f"chat.title:{sealed.id}"),
            authors_note=None if note is None else self._open(note, f"chat.note:{sealed.id}"),
        )

    def sealed_message(self, plain: MessageRecord) -> MessageRecord:
        """As it is stored."""
        return replace(
            plain,
            content=self._seal(plain.content, f"chat.content:{plain.id}"),
            details=self._seal(plain.details, f"chat.details:{plain.id}"),
        )

    def message(self, sealed: MessageRecord) -> MessageRecord:
        """As it was before it was sealed, its rating too."""
        rating = sealed.feedback
        place = f"chat.comment:{sealed.id}:{sealed.owner_id}"
        return replace(
            sealed,
            content=self._open(sealed.content, f"chat.content:{sealed.id}"),
            details=self._open(sealed.details, f"chat.details:{sealed.id}"),
            feedback=None if rating is None else replace(rating, comment=self._open(rating.comment, place)),
        )

    def sealed_feedback(self, plain: FeedbackRecord, message_id: MessageId, owner_id: UserId) -> FeedbackRecord:
        """As it is stored; a rating that is read belongs to the owner of its message."""
        return replace(plain, comment=self._seal(plain.comment, f"chat.comment:{message_id}:{owner_id}"))

    def sealed_batch(self, plain: EventBatch) -> EventBatch:
        """As it is stored."""
        return replace(plain, payload=self.box.seal(plain.payload, place=_batch_place(plain)))

    def batch(self, sealed: EventBatch) -> EventBatch:
        """As it was before it was sealed."""
        return replace(sealed, payload=self.box.open(sealed.payload, place=_batch_place(sealed)))

    def _seal(self, text: str, place: str) -> str:
        return b64encode(self.box.seal(text.encode("utf-8", "surrogatepass"), place=place)).decode() if text else ""

    def _open(self, text: str, place: str) -> str:
        return self.box.open(b64decode(text), place=place).decode("utf-8", "surrogatepass") if text else ""


def _batch_place(batch: EventBatch) -> str:
    return f"chat.events:{batch.message_id}:{batch.first_id}"


class SealedConversationStore:
    """ConversationStore around another one."""

    def __init__(self, store: ConversationStore, box: SecretBox) -> None:
        self._store, self._seals = store, RecordSeals(box)

    @asynccontextmanager
    async def read(self) -> AsyncGenerator["SealedReads"]:
        """See ConversationStore."""
        async with self._store.read() as reads:
            yield SealedReads(reads, self._seals)

    @asynccontextmanager
    async def transaction(self, cause: Cause | None = None) -> AsyncGenerator["SealedWork"]:
        """See ConversationStore."""
        async with self._store.transaction(cause) as work:
            yield SealedWork(work, self._seals)


class SealedReads:
    """ConversationReads of what is sealed."""

    def __init__(self, reads: ConversationReads, seals: RecordSeals) -> None:
        self._reads, self._seals = reads, seals

    async def find_conversation(
        self, owner_id: UserId, conversation_id: ConversationId, *, deleted: bool = False
    ) -> ConversationRecord | None:
        """See ConversationReads."""
        found = await self._reads.find_conversation(owner_id, conversation_id, deleted=deleted)
        return None if found is None else self._seals.conversation(found)

    async def list_conversations(
        self, owner_id: UserId, wanted: ConversationFilter, *, after: ConversationKey | None, limit: int
    ) -> list[ConversationRecord]:
        """See ConversationReads."""
        found = await self._reads.list_conversations(owner_id, wanted, after=after, limit=limit)
        return [self._seals.conversation(record) for record in found]

    async def find_message(self, owner_id: UserId, message_id: MessageId) -> MessageRecord | None:
        """See ConversationReads."""
        found = await self._reads.find_message(owner_id, message_id)
        return None if found is None else self._seals.message(found)

    async def messages(
        self, conversation_id: ConversationId, *, after_position: int = 0, limit: int | None = None
    ) -> list[MessageRecord]:
        """See ConversationReads."""
        return self._opened(await self._reads.messages(conversation_id, after_position=after_position, limit=limit))

    async def branch(self, message_id: MessageId, *, limit: int) -> list[MessageRecord]:
        """See ConversationReads."""
        return self._opened(await self._reads.branch(message_id, limit=limit))

    async def answers(self, question_id: MessageId) -> list[MessageRecord]:
        """See ConversationReads."""
        return self._opened(await self._reads.answers(question_id))

    async def event_batches(self, message_id: MessageId, *, after: int) -> list[EventBatch]:
        """See ConversationReads."""
        return [self._seals.batch(batch) for batch in await self._reads.event_batches(message_id, after=after)]

    async def find_hits(
        self, owner_id: UserId, words: Sequence[str], *, after: HitKey | None, limit: int
    ) -> list[WordHit]:
        """See ConversationReads."""
        return [
            replace(
                hit,
                conversation=self._seals.conversation(hit.conversation),
                message=None if hit.message is None else self._seals.message(hit.message),
            )
            for hit in await self._reads.find_hits(owner_id, words, after=after, limit=limit)
        ]

    async def count_streaming(self, owner_id: UserId, *, now: datetime) -> int:
        """See ConversationReads."""
        return await self._reads.count_streaming(owner_id, now=now)

    async def abandoned_answers(self, *, node_id: str, boot_id: UUID, now: datetime) -> list[MessageRecord]:
        """See ConversationReads."""
        return self._opened(await self._reads.abandoned_answers(node_id=node_id, boot_id=boot_id, now=now))

    async def deleted_before(self, time: datetime, *, limit: int) -> list[ConversationRecord]:
        """See ConversationReads."""
        return [self._seals.conversation(record) for record in await self._reads.deleted_before(time, limit=limit)]

    def _opened(self, records: Sequence[MessageRecord]) -> list[MessageRecord]:
        return [self._seals.message(record) for record in records]


class SealedWork(SealedReads):
    """ConversationWork that seals."""

    def __init__(self, work: ConversationWork, seals: RecordSeals) -> None:
        super().__init__(work, seals)
        self._work = work
        self.renew_leases = work.renew_leases
        self.wish_stop = work.wish_stop
        self.index_words = work.index_words
        self.erase_conversation = work.erase_conversation
        self.refuse_owner = work.refuse_owner
        self.erase_some_of = work.erase_some_of

    async def add_conversation(self, conversation: ConversationRecord) -> None:
        """See ConversationWork."""
        await self._work.add_conversation(self._seals.sealed_conversation(conversation))

    async def save_conversation(self, conversation: ConversationRecord) -> None:
        """See ConversationWork."""
        await self._work.save_conversation(self._seals.sealed_conversation(conversation))

    async def add_message(self, message: MessageRecord) -> None:
        """See ConversationWork."""
        await self._work.add_message(self._seals.sealed_message(message))

    async def append_events(self, batches: Sequence[EventBatch]) -> None:
        """See ConversationWork."""
        await self._work.append_events([self._seals.sealed_batch(batch) for batch in batches])

    async def finish_answer(self, answer: MessageRecord, events: EventBatch) -> bool:
        """See ConversationWork."""
        return await self._work.finish_answer(self._seals.sealed_message(answer), self._seals.sealed_batch(events))

    async def add_feedback(self, message_id: MessageId, owner_id: UserId, feedback: FeedbackRecord) -> None:
        """See ConversationWork."""
        sealed = self._seals.sealed_feedback(feedback, message_id, owner_id)
        await self._work.add_feedback(message_id, owner_id, sealed)

    def emit(self, fact: Fact) -> None:
        """See ConversationWork."""
        self._work.emit(fact)
