"""What every conversation store must do."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from fireside.contracts.conversation import ConversationErased
from fireside.core.ids import ConversationId, MessageId, UserId, new_id
from fireside.ports.conversation_records import (
    ConversationFilter,
    ConversationKey,
    ConversationRecord,
    EventBatch,
    FeedbackRecord,
    Lease,
    MessageRecord,
)
from fireside.ports.conversation_store import ConversationStore, DuplicateIdError

NOW = datetime(2026, 5, 4, 3, 2, 1, 123_456, tzinfo=UTC)
ME, OTHER = UserId(UUID(int=1)), UserId(UUID(int=2))
BOOT, OTHER_BOOT = UUID(int=11), UUID(int=12)
Facts = Callable[[], Awaitable[list[str]]]


def conversation(**fields: Any) -> ConversationRecord:
    """A conversation of ME, with what a test says."""
    made: dict[str, Any] = {
        "id": ConversationId(new_id()),
        "owner_id": ME,
        "title": "Titel",
        "title_given": False,
        "mode": "auto",
        "created_at": NOW,
        "updated_at": NOW,
    }
    return ConversationRecord(**{**made, **fields})


def message(of: ConversationRecord, **fields: Any) -> MessageRecord:
    """A question in a conversation, or what a test says."""
    made: dict[str, Any] = {
        "id": MessageId(new_id()),
        "conversation_id": of.id,
        "owner_id": of.owner_id,
        "parent_id": None,
        "role": "user",
        "content": "Frage?",
        "state": "complete",
        "created_at": NOW,
    }
    return MessageRecord(**{**made, **fields})


def streaming(of: ConversationRecord, question: MessageRecord, **fields: Any) -> MessageRecord:
    """An answer that node `one` is writing."""
    made: dict[str, Any] = {
        "parent_id": question.id,
        "role": "assistant",
        "content": "",
        "state": "streaming",
        "lease": Lease("one", BOOT, NOW + timedelta(seconds=60)),
    }
    return message(of, **{**made, **fields})


class ConversationStoreConformance:
    """Inherit it, with fixtures `store` (an empty one) and `facts` (the topics of what was announced, in order)."""

    async def stored(self, store: ConversationStore, record: ConversationRecord, *messages: MessageRecord) -> None:
        async with store.transaction() as work:
            await work.add_conversation(record)
            for item in messages:
                await work.add_message(item)

    async def test_a_conversation_is_found_as_it_was_stored_by_its_owner_alone(self, store: ConversationStore) -> None:
        record = conversation(
            title="Ünï 🔥 'quoted'",
            title_given=True,
            mode="company",
            model="big",
            authors_note="kurz",
            pinned=True,
            archived=True,
            tags=("b", "a"),
            active_message_id=MessageId(new_id()),
        )
        await self.stored(store, record)
        async with store.read() as reads:
            assert await reads.find_conversation(ME, record.id) == record
            assert await reads.find_conversation(OTHER, record.id) is None
            assert await reads.find_conversation(ME, ConversationId(new_id())) is None

    async def test_a_message_is_found_as_it_was_stored_by_its_owner_alone(self, store: ConversationStore) -> None:
        of = conversation()
        question = message(of, content="Zeile\n\t🔥 '%_", context_only=True)
        answer = streaming(
            of,
            question,
            mode="company",
            model="big",
            confidence=0.25,
            usage={"prompt_tokens": 3},
            details='{"steps": []}',
            finished_at=NOW + timedelta(microseconds=1),
        )
        await self.stored(store, of, question, answer)
        async with store.read() as reads:
            assert await reads.find_message(ME, question.id) == replace(question, position=1)
            assert await reads.find_message(ME, answer.id) == replace(answer, position=2)
            assert await reads.find_message(OTHER, answer.id) is None
            found = await reads.find_conversation(ME, of.id)
            assert found is not None
            assert found.message_count == 2

    async def test_saving_replaces_all_but_the_count_of_messages(self, store: ConversationStore) -> None:
        record = conversation(tags=("a", "b"), model="big")
        await self.stored(store, record, message(record))
        changed = replace(record, title="Neu", tags=("c",), model=None, pinned=True, message_count=99)
        async with store.transaction() as work:
            await work.save_conversation(changed)
        async with store.read() as reads:
            assert await reads.find_conversation(ME, record.id) == replace(changed, message_count=1)

    async def test_an_id_is_taken_once_and_the_transaction_goes_on(self, store: ConversationStore) -> None:
        record = conversation()
        question = message(record)
        await self.stored(store, record, question)
        async with store.transaction() as work:
            with pytest.raises(DuplicateIdError):
                await work.add_conversation(conversation(id=record.id, owner_id=OTHER))
            await work.add_conversation(conversation(title="weiter"))
        async with store.read() as reads:
            titles = [c.title for c in await reads.list_conversations(ME, ConversationFilter(), after=None, limit=9)]
            assert sorted(titles) == ["Titel", "weiter"]
        with pytest.raises(DuplicateIdError):
            async with store.transaction() as work:
                await work.add_message(message(record, id=question.id))

    async def test_what_a_failed_transaction_did_never_happened(self, store: ConversationStore, facts: Facts) -> None:
        record = conversation()

        async def fail() -> None:
            async with store.transaction() as work:
                await work.add_conversation(record)
                await work.add_message(message(record))
                work.emit(ConversationErased(conversation_id=record.id, owner_id=ME))
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await fail()
        async with store.read() as reads:
            assert await reads.find_conversation(ME, record.id) is None
            assert await reads.messages(record.id) == []
        assert await facts() == []

    async def test_a_fact_is_announced_with_its_transaction(self, store: ConversationStore, facts: Facts) -> None:
        async with store.transaction() as work:
            work.emit(ConversationErased(conversation_id=ConversationId(new_id()), owner_id=ME))
        assert await facts() == [ConversationErased.topic]

    async def test_lists_are_ordered_and_continue_after_any_key(self, store: ConversationStore) -> None:
        records = [conversation(updated_at=NOW + timedelta(seconds=n // 2), pinned=n % 3 == 0) for n in range(9)]
        for record in records:
            await self.stored(store, record)
        await self.stored(store, conversation(owner_id=OTHER))
        expected = sorted(records, key=lambda c: (c.pinned, c.updated_at, c.id.bytes), reverse=True)
        async with store.read() as reads:
            assert await reads.list_conversations(ME, ConversationFilter(), after=None, limit=99) == expected
            for place, record in enumerate(expected):
                key = ConversationKey(record.pinned, record.updated_at, record.id)
                rest = await reads.list_conversations(ME, ConversationFilter(), after=key, limit=3)
                assert rest == expected[place + 1 : place + 4]

    async def test_lists_are_filtered(self, store: ConversationStore) -> None:
        plain, tagged = conversation(), conversation(tags=("Arbeit", "x"))
        archived, deleted = conversation(archived=True), conversation(deleted_at=NOW)
        for record in (plain, tagged, archived, deleted):
            await self.stored(store, record)
        async with store.read() as reads:

            async def listed(**wanted: Any) -> set[ConversationId]:
                found = await reads.list_conversations(ME, ConversationFilter(**wanted), after=None, limit=9)
                return {record.id for record in found}

            assert await listed() == {plain.id, tagged.id}
            assert await listed(archived=True) == {archived.id}
            assert await listed(deleted=True) == {deleted.id}
            assert await listed(tag="Arbeit") == {tagged.id}
            assert await listed(tag="Arb") == set()
            assert await reads.find_conversation(ME, deleted.id) is None
            assert await reads.find_conversation(ME, deleted.id, deleted=True) == deleted
            assert await reads.find_conversation(ME, plain.id, deleted=True) is None

    async def test_messages_of_a_deleted_conversation_are_not_found(self, store: ConversationStore) -> None:
        record = conversation(deleted_at=NOW)
        question = message(record)
        await self.stored(store, record, question)
        async with store.read() as reads:
            assert await reads.find_message(ME, question.id) is None

    async def test_messages_come_by_position_branches_by_their_line(self, store: ConversationStore) -> None:
        of = conversation()
        line = [message(of)]
        for _ in range(5):
            line.append(message(of, parent_id=line[-1].id))
        aside = message(of, parent_id=line[0].id, role="assistant")
        await self.stored(store, of, *line, aside)
        async with store.read() as reads:
            assert [m.id for m in await reads.messages(of.id)] == [m.id for m in (*line, aside)]
            assert [m.position for m in await reads.messages(of.id, after_position=2, limit=3)] == [3, 4, 5]
            assert [m.id for m in await reads.branch(line[-1].id, limit=99)] == [m.id for m in line[::-1]]
            assert [m.id for m in await reads.branch(line[-1].id, limit=2)] == [line[5].id, line[4].id]
            assert [m.id for m in await reads.branch(aside.id, limit=99)] == [aside.id, line[0].id]
            assert await reads.branch(MessageId(new_id()), limit=9) == []
            assert [m.id for m in await reads.answers(line[0].id)] == [aside.id]

    async def test_events_are_read_from_any_of_them_and_end_in_one_batch(self, store: ConversationStore) -> None:
        of = conversation()
        question = message(of)
        answer = streaming(of, question)
        await self.stored(store, of, question, answer)
        first, second = EventBatch(answer.id, 1, 4, b"\x00one"), EventBatch(answer.id, 5, 9, b"two")
        async with store.transaction() as work:
            await work.append_events([first, second])
        async with store.read() as reads:
            assert await reads.event_batches(answer.id, after=0) == [first, second]
            assert await reads.event_batches(answer.id, after=4) == [second]
            assert await reads.event_batches(answer.id, after=8) == [second]
            assert await reads.event_batches(answer.id, after=9) == []
        longer, whole = EventBatch(answer.id, 5, 12, b"longer"), EventBatch(answer.id, 1, 13, b"whole")
        ended = replace(answer, content="Antwort", state="complete", finished_at=NOW + timedelta(seconds=5), lease=None)
        async with store.transaction() as work:
            await work.append_events([longer])
            assert await work.event_batches(answer.id, after=0) == [first, longer]
            assert await work.finish_answer(ended, whole) is True
        async with store.transaction() as work:
            assert await work.finish_answer(replace(ended, content="anders"), whole) is False
            await work.append_events(
                [EventBatch(answer.id, 14, 15, b"late"), EventBatch(MessageId(new_id()), 1, 2, b"")]
            )
        async with store.read() as reads:
            assert await reads.event_batches(answer.id, after=0) == [whole]
            assert await reads.find_message(ME, answer.id) == replace(ended, position=2)
            found = await reads.find_conversation(ME, of.id)
            assert found is not None
            assert found.updated_at == ended.finished_at

    async def test_leases_tell_who_lives_and_who_is_gone(self, store: ConversationStore) -> None:
        of = conversation()
        question = message(of)
        answer, late = streaming(of, question), streaming(of, question, lease=Lease("two", OTHER_BOOT, NOW))
        await self.stored(store, of, question, answer, late)

        async def abandoned(node_id: str, boot_id: UUID, now: datetime) -> set[MessageId]:
            async with store.read() as reads:
                found = await reads.abandoned_answers(node_id=node_id, boot_id=boot_id, now=now)
                return {record.id for record in found}

        assert await abandoned("one", BOOT, NOW - timedelta(seconds=1)) == set()
        assert await abandoned("one", OTHER_BOOT, NOW - timedelta(seconds=1)) == {answer.id}
        assert await abandoned("three", BOOT, NOW) == {late.id}
        async with store.read() as reads:
            assert await reads.count_streaming(ME, now=NOW) == 1
            assert await reads.count_streaming(OTHER, now=NOW) == 0
        async with store.transaction() as work:
            await work.wish_stop(late.id)
            wished = await work.renew_leases([answer.id, late.id], NOW + timedelta(seconds=90))
            assert wished == {late.id}
        assert await abandoned("three", BOOT, NOW + timedelta(seconds=80)) == set()
        async with store.transaction() as work:
            await work.finish_answer(replace(late, state="stopped", finished_at=NOW), EventBatch(late.id, 1, 1, b""))
        async with store.read() as reads:
            assert await reads.count_streaming(ME, now=NOW) == 1

    async def test_ratings_stand_on_their_message_once(self, store: ConversationStore) -> None:
        of = conversation()
        answer = message(of, role="assistant")
        await self.stored(store, of, answer)
        rating = FeedbackRecord(-1, "falsch 🔥", ("a", "b"), NOW)
        async with store.transaction() as work:
            await work.add_feedback(answer.id, ME, rating)
        async with store.transaction() as work:
            with pytest.raises(DuplicateIdError):
                await work.add_feedback(answer.id, ME, rating)
        async with store.read() as reads:
            assert await reads.find_message(ME, answer.id) == replace(answer, position=1, feedback=rating)
