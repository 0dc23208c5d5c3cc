"""What every conversation store must find by words, and what it must forget."""

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from fireside.core.ids import ConversationId, UserId
from fireside.ports.conversation_records import (
    ConversationFilter,
    ConversationRecord,
    EventBatch,
    FeedbackRecord,
    HitKey,
    MessageRecord,
)
from fireside.ports.conversation_store import ConversationStore, ConversationWork
from fireside.testing.conformance.conversation_store import ME, NOW, OTHER, conversation, message, streaming


class ConversationSearchConformance:
    """Inherit it, with a fixture `store` (an empty one)."""

    async def indexed(self, store: ConversationStore, of: ConversationRecord, *texts: str) -> list[MessageRecord]:
        """Store a conversation with messages, one a second; its title is found by the word `titel`."""
        made = [message(of, content=text, created_at=NOW + timedelta(seconds=n)) for n, text in enumerate(texts)]
        async with store.transaction() as work:
            await work.add_conversation(of)
            await self.index(work, of, of.id, "titel", NOW - timedelta(days=1))
            for item in made:
                await work.add_message(item)
                await self.index(work, of, item.id, item.content, item.created_at)
        return made

    async def index(
        self, work: ConversationWork, of: ConversationRecord, item_id: UUID, text: str, time: datetime
    ) -> None:
        """Make an item findable by the words of a text that has only spaces between them."""
        words = frozenset(text.split())
        await work.index_words(item_id, words, owner_id=of.owner_id, conversation_id=of.id, created_at=time)

    async def found(
        self, store: ConversationStore, *words: str, owner_id: UserId = ME, after: HitKey | None = None, limit: int = 99
    ) -> list[UUID]:
        """The ids of the items found."""
        async with store.read() as reads:
            hits = await reads.find_hits(owner_id, words, after=after, limit=limit)
            return [hit.message.id if hit.message else hit.conversation.id for hit in hits]

    async def test_items_are_found_by_beginnings_of_all_words_newest_first(self, store: ConversationStore) -> None:
        of = conversation()
        first, second, third = await self.indexed(store, of, "rot blau", "rotes gelb", "grün")

        assert await self.found(store, "rot") == [second.id, first.id]
        assert await self.found(store, "rot", "bl") == [first.id]
        assert await self.found(store, "rot", "grün") == []
        assert await self.found(store, "ot") == []
        assert await self.found(store, "gr") == [third.id]
        assert await self.found(store, "titel") == [of.id]

    async def test_hits_bring_what_they_belong_to(self, store: ConversationStore) -> None:
        of = conversation(tags=("a",))
        (question,) = await self.indexed(store, of, "rot")
        async with store.read() as reads:
            (hit,) = await reads.find_hits(ME, ["rot"], after=None, limit=9)
            assert hit.message is not None
            assert (hit.message.id, hit.created_at) == (question.id, question.created_at)
            assert (hit.conversation.id, hit.conversation.tags) == (of.id, ("a",))
            (title,) = await reads.find_hits(ME, ["titel"], after=None, limit=9)
            assert (title.message, title.created_at) == (None, NOW - timedelta(days=1))

    async def test_hits_continue_after_any_key(self, store: ConversationStore) -> None:
        made = await self.indexed(store, conversation(), *("rot",) * 5)
        expected = [item.id for item in reversed(made)]
        for place, item in enumerate(reversed(made)):
            rest = await self.found(store, "rot", after=HitKey(item.created_at, item.id), limit=2)
            assert rest == expected[place + 1 : place + 3]

    async def test_only_the_owners_are_found_and_not_deleted_ones(self, store: ConversationStore) -> None:
        mine, deleted, theirs = conversation(), conversation(deleted_at=NOW), conversation(owner_id=OTHER)
        (question,) = await self.indexed(store, mine, "rot")
        await self.indexed(store, deleted, "rot")
        (other,) = await self.indexed(store, theirs, "rot")

        assert await self.found(store, "rot") == [question.id]
        assert await self.found(store, "rot", owner_id=OTHER) == [other.id]
        assert await self.listed(store, "rot") == {mine.id}

    async def test_conversations_are_listed_by_words_anywhere_in_them(self, store: ConversationStore) -> None:
        one, two = conversation(), conversation()
        await self.indexed(store, one, "rot", "blau")
        await self.indexed(store, two, "rot")

        assert await self.listed(store, "ro") == {one.id, two.id}
        assert await self.listed(store, "rot", "bla", "titel") == {one.id}
        assert await self.listed(store, "blau", "gelb") == set()

    async def test_indexing_again_forgets_the_words_before(self, store: ConversationStore) -> None:
        of = conversation()
        (question,) = await self.indexed(store, of, "rot blau")
        async with store.transaction() as work:
            await self.index(work, of, question.id, "gelb", NOW)
        assert await self.found(store, "rot") == []
        assert await self.found(store, "gelb") == [question.id]
        async with store.transaction() as work:
            await self.index(work, of, question.id, "", NOW)
        assert await self.found(store, "gelb") == []

    async def test_words_are_taken_as_they_are(self, store: ConversationStore) -> None:
        words = ["a", "ä", "z", "é", "何日", "🔥", "a-b", "%", "_", "\\", "/"]
        made = await self.indexed(store, conversation(), *words)
        for word, item in zip(words, made, strict=True):
            expected = {other.id for other in made if other.content.startswith(word)}
            assert set(await self.found(store, word)) == expected, word
            assert item.id in expected

    async def test_an_erased_conversation_leaves_nothing(self, store: ConversationStore) -> None:
        of, kept = conversation(deleted_at=NOW, tags=("a",)), conversation()
        (question,) = await self.indexed(store, of, "rot")
        (other,) = await self.indexed(store, kept, "rot")
        answer = streaming(of, question)
        async with store.transaction() as work:
            await work.add_message(answer)
            await work.append_events([EventBatch(answer.id, 1, 2, b"x")])
            await work.add_feedback(answer.id, ME, FeedbackRecord(1, "", (), NOW))
            assert await work.deleted_before(NOW, limit=9) == []
            (over,) = await work.deleted_before(NOW + timedelta(seconds=1), limit=9)
            assert over.id == of.id
            await work.erase_conversation(of.id)
        async with store.transaction() as work:
            assert await work.find_conversation(ME, of.id, deleted=True) is None
            assert await work.messages(of.id) == []
            assert await work.event_batches(answer.id, after=0) == []
            assert await work.deleted_before(NOW + timedelta(seconds=1), limit=9) == []
            await work.add_conversation(replace(of, deleted_at=None))
            await work.add_message(answer)
            again = await work.find_message(ME, answer.id)
            assert again is not None
            assert again.feedback is None
        assert await self.found(store, "rot") == [other.id]

    async def listed(self, store: ConversationStore, *words: str) -> set[ConversationId]:
        """The conversations that a list with these words shows."""
        async with store.read() as reads:
            found = await reads.list_conversations(ME, ConversationFilter(words=words), after=None, limit=99)
            return {record.id for record in found}
