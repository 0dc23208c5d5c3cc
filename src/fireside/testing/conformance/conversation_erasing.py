"""What every conversation store must do with users who are gone."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from fireside.core.ids import MessageId, new_id
from fireside.ports.conversation_records import EventBatch, FeedbackRecord
from fireside.ports.conversation_store import ConversationStore, OwnerErasedError
from fireside.testing.conformance.conversation_store import ME, NOW, OTHER, conversation, message, streaming


class ConversationErasingConformance:
    """Inherit it, with a fixture `store` (an empty one)."""

    async def test_everything_of_an_owner_is_erased_a_few_at_a_time(self, store: ConversationStore) -> None:
        plain, archived, deleted = conversation(), conversation(archived=True), conversation(deleted_at=NOW)
        mine = [plain, archived, deleted, conversation(tags=("a",)), conversation(pinned=True)]
        question, theirs = message(mine[0]), conversation(owner_id=OTHER)
        kept = message(theirs)
        answer = streaming(mine[0], question)
        async with store.transaction() as work:
            for record in (*mine, theirs):
                await work.add_conversation(record)
            for item in (question, answer, kept):
                await work.add_message(item)
                await work.index_words(
                    item.id,
                    frozenset({"rot"}),
                    owner_id=item.owner_id,
                    conversation_id=item.conversation_id,
                    created_at=NOW,
                )
            await work.append_events([EventBatch(answer.id, 1, 2, b"x")])
            await work.add_feedback(answer.id, ME, FeedbackRecord(1, "gut", (), NOW))

        erased = [await self.erased(store, limit=3) for _ in range(3)]

        assert [len(some) for some in erased] == [3, 2, 0]
        assert set().union(*erased) == {record.id for record in mine}
        async with store.transaction() as work:
            assert await work.messages(mine[0].id) == []
            assert await work.event_batches(answer.id, after=0) == []
            assert await work.find_hits(ME, ["rot"], after=None, limit=9) == []
            assert await work.count_streaming(ME, now=NOW) == 0
            assert await work.find_conversation(OTHER, theirs.id) is not None
            assert [hit.message for hit in await work.find_hits(OTHER, ["rot"], after=None, limit=9)] == [
                replace(kept, position=1)
            ]
            await work.add_conversation(mine[0])
            await work.add_message(answer)
            again = await work.find_message(ME, answer.id)
            assert again is not None
            assert again.feedback is None

    async def erased(self, store: ConversationStore, *, limit: int) -> set[object]:
        async with store.transaction() as work:
            return set(await work.erase_some_of(ME, limit=limit))

    async def test_an_owner_who_is_refused_begins_no_conversation(self, store: ConversationStore) -> None:
        present = conversation()
        async with store.transaction() as work:
            await work.add_conversation(present)
        for _ in range(2):
            async with store.transaction() as work:
                await work.refuse_owner(ME)

        with pytest.raises(OwnerErasedError):
            async with store.transaction() as work:
                await work.add_conversation(conversation())

        async with store.transaction() as work:
            await work.add_conversation(conversation(owner_id=OTHER))
            assert await work.erase_some_of(ME, limit=9) == [present.id]

    async def test_a_conversation_begun_at_the_same_time_is_refused_or_found(self, store: ConversationStore) -> None:
        async def begin() -> bool:
            try:
                async with store.transaction() as work:
                    await work.add_conversation(conversation())
            except OwnerErasedError:
                return False
            return True

        begun = [asyncio.create_task(begin()) for _ in range(10)]
        found = await self.refused_and_erased(store)

        assert len(found) == sum([await task for task in begun])
        assert await self.erased(store, limit=99) == set()

    async def test_a_conversation_that_is_just_being_begun_is_waited_for(self, store: ConversationStore) -> None:
        record = conversation()

        async with store.transaction() as work:
            await work.add_conversation(record)
            erasing = asyncio.create_task(self.refused_and_erased(store))
            await asyncio.wait({erasing}, timeout=0.3)

        assert await erasing == {record.id}

    async def refused_and_erased(self, store: ConversationStore) -> set[object]:
        async with store.transaction() as work:
            await work.refuse_owner(ME)
        return await self.erased(store, limit=99)

    async def test_an_answer_that_is_gone_takes_nothing_and_is_to_be_ended(self, store: ConversationStore) -> None:
        of = conversation()
        question = message(of)
        answer, gone = streaming(of, question), MessageId(new_id())
        async with store.transaction() as work:
            await work.add_conversation(of)
            await work.add_message(question)
            await work.add_message(answer)
            assert await work.renew_leases([answer.id, gone], NOW + timedelta(seconds=90)) == {gone}

        await self.erased(store, limit=9)

        async with store.transaction() as work:
            await work.append_events([EventBatch(answer.id, 1, 2, b"late")])
            ended = replace(answer, state="complete", content="spät", finished_at=NOW, lease=None)
            assert await work.finish_answer(ended, EventBatch(answer.id, 1, 3, b"whole")) is False
            assert await work.renew_leases([answer.id], NOW + timedelta(seconds=90)) == {answer.id}
        async with store.read() as reads:
            assert await reads.event_batches(answer.id, after=0) == []
