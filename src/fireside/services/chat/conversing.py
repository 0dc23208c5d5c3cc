"""Conversations as their owner manages them: lists, changes, deleting and restoring, ratings, search."""

from dataclasses import replace
from datetime import timedelta

from fireside.contracts.chat import (
    Conversations,
    CreateConversation,
    GiveFeedback,
    ListConversations,
    ListMessages,
    MessageHit,
    MessageHits,
    Messages,
    PatchConversation,
    SearchMessages,
)
from fireside.contracts.conversation import ConversationView, FeedbackGiven, FeedbackView, MessageView, Role
from fireside.core.clock import Clock
from fireside.core.ids import ConversationId, MessageId, new_id
from fireside.ports.conversation_records import ConversationFilter, ConversationRecord, FeedbackRecord, WordHit
from fireside.ports.conversation_store import ConversationStore, ConversationWork, DuplicateIdError
from fireside.runtime.context import Context
from fireside.services.chat import cursors
from fireside.services.chat.errors import (
    AlreadyRatedError,
    ConversationNotFoundError,
    IdTakenError,
    MessageNotFoundError,
    NotAnAnswerError,
    NoWordsError,
)
from fireside.services.chat.following import Following
from fireside.services.chat.posting import get_conversation, get_message, index_title
from fireside.services.chat.settings import ChatSettings
from fireside.services.chat.titles import EMPTY_TITLE
from fireside.services.chat.views import conversation_view, feedback_view, message_view
from fireside.services.chat.words import snippet, words_of

_MOST_WORDS = 12
"""Words of a query that count; each costs a look at every text of the owner."""


class Conversing:
    """Everything about conversations that makes no answer."""

    def __init__(self, *, store: ConversationStore, following: Following, settings: ChatSettings, clock: Clock) -> None:
        self._store = store
        self._following = following
        self._settings = settings
        self._clock = clock

    async def create(self, context: Context, request: CreateConversation) -> ConversationView:
        """Begin a conversation."""
        now = self._clock.now()
        conversation = ConversationRecord(
            id=request.id or ConversationId(new_id()),
            owner_id=context.identity.require_user(),
            title=request.title or EMPTY_TITLE,
            title_given=request.title is not None,
            mode=request.mode,
            model=request.model or None,
            authors_note=request.authors_note or None,
            tags=_unique(request.tags),
            created_at=now,
            updated_at=now,
        )
        try:
            async with self._store.transaction(context) as work:
                await work.add_conversation(conversation)
                if conversation.title_given:
                    await index_title(work, conversation)
        except DuplicateIdError as error:
            raise IdTakenError(id=str(conversation.id)) from error
        return conversation_view(conversation)

    async def list_page(self, context: Context, request: ListConversations) -> Conversations:
        """A page of the owner's conversations."""
        words = tuple(words_of(request.query))[:_MOST_WORDS]
        if request.query.strip() and not words:
            return Conversations(items=())
        wanted = ConversationFilter(archived=request.archived, deleted=request.deleted, tag=request.tag, words=words)
        after = cursors.conversation_key(request.cursor) if request.cursor else None
        async with self._store.read() as reads:
            found = await reads.list_conversations(
                context.identity.require_user(), wanted, after=after, limit=request.limit + 1
            )
        page = found[: request.limit]
        return Conversations(
            items=tuple(map(conversation_view, page)),
            next_cursor=cursors.after_conversation(page[-1]) if len(found) > request.limit else None,
        )

    async def get(self, context: Context, conversation_id: ConversationId) -> ConversationView:
        """One conversation."""
        async with self._store.read() as reads:
            owner_id = context.identity.require_user()
            return conversation_view(await get_conversation(reads, owner_id, conversation_id))

    async def patch(self, context: Context, request: PatchConversation) -> ConversationView:
        """Change a conversation."""
        owner_id = context.identity.require_user()
        async with self._store.transaction(context) as work:
            before = await get_conversation(work, owner_id, request.conversation_id)
            await _check_active(work, before, request.active_message_id)
            after = _changed(before, request)
            await work.save_conversation(after)
            if after.title != before.title:
                await index_title(work, after)
        return conversation_view(after)

    async def delete(self, context: Context, conversation_id: ConversationId) -> None:
        """Put a conversation where only `restore` finds it, and stop its answers."""
        owner_id = context.identity.require_user()
        async with self._store.read() as reads:
            await get_conversation(reads, owner_id, conversation_id)
            streaming = [m.id for m in await reads.messages(conversation_id) if m.state == "streaming"]
        for message_id in streaming:
            await self._following.stop(context, message_id)
        async with self._store.transaction(context) as work:
            conversation = await get_conversation(work, owner_id, conversation_id)
            await work.save_conversation(replace(conversation, deleted_at=self._clock.now()))

    async def restore(self, context: Context, conversation_id: ConversationId) -> ConversationView:
        """Bring a deleted conversation back; one that is not deleted stays as it is."""
        owner_id = context.identity.require_user()
        async with self._store.transaction(context) as work:
            present = await work.find_conversation(owner_id, conversation_id)
            if present is not None:
                return conversation_view(present)
            deleted = await get_conversation(work, owner_id, conversation_id, deleted=True)
            if self._is_over(deleted):
                raise ConversationNotFoundError(conversation_id=str(conversation_id))
            restored = replace(deleted, deleted_at=None)
            await work.save_conversation(restored)
        return conversation_view(restored)

    async def messages(self, context: Context, request: ListMessages) -> Messages:
        """A page of a conversation's messages."""
        owner_id = context.identity.require_user()
        after = cursors.position_of(request.cursor) if request.cursor else 0
        async with self._store.read() as reads:
            await get_conversation(reads, owner_id, request.conversation_id)
            found = await reads.messages(request.conversation_id, after_position=after, limit=request.limit + 1)
            page = found[: request.limit]
            items = [message_view(await self._following.current(reads, message)) for message in page]
        more = len(found) > request.limit
        return Messages(items=tuple(items), next_cursor=cursors.after_position(page[-1].position) if more else None)

    async def message(self, context: Context, message_id: MessageId) -> MessageView:
        """One message."""
        async with self._store.read() as reads:
            message = await get_message(reads, context.identity.require_user(), message_id)
            return message_view(await self._following.current(reads, message))

    async def give_feedback(self, context: Context, request: GiveFeedback) -> FeedbackView:
        """Rate an answer."""
        owner_id = context.identity.require_user()
        rating = FeedbackRecord(request.rating, request.comment, _unique(request.tags), self._clock.now())
        try:
            async with self._store.transaction(context) as work:
                message = await get_message(work, owner_id, request.message_id)
                if message.role != "assistant":
                    raise NotAnAnswerError("only answers can be rated", message_id=str(message.id))
                await work.add_feedback(message.id, owner_id, rating)
                work.emit(
                    FeedbackGiven(
                        message_id=message.id,
                        conversation_id=message.conversation_id,
                        owner_id=owner_id,
                        rating=request.rating,
                    )
                )
        except DuplicateIdError as error:
            raise AlreadyRatedError(message_id=str(request.message_id)) from error
        return feedback_view(rating)

    async def search(self, context: Context, request: SearchMessages) -> MessageHits:
        """Titles and messages that hold all the words."""
        words = words_of(request.query)[:_MOST_WORDS]
        if not words:
            raise NoWordsError(query=request.query)
        after = cursors.hit_key(request.cursor) if request.cursor else None
        async with self._store.read() as reads:
            owner_id = context.identity.require_user()
            found = await reads.find_hits(owner_id, words, after=after, limit=request.limit + 1)
        page = found[: request.limit]
        return MessageHits(
            items=tuple(_hit(hit, words) for hit in page),
            next_cursor=cursors.after_hit(page[-1]) if len(found) > request.limit else None,
        )

    def _is_over(self, conversation: ConversationRecord) -> bool:
        kept = timedelta(days=self._settings.deleted_retention_days)
        return conversation.deleted_at is not None and conversation.deleted_at + kept < self._clock.now()


async def _check_active(work: ConversationWork, conversation: ConversationRecord, message_id: MessageId | None) -> None:
    if message_id is None:
        return
    message = await work.find_message(conversation.owner_id, message_id)
    if message is None or message.conversation_id != conversation.id:
        raise MessageNotFoundError(message_id=str(message_id))


def _changed(conversation: ConversationRecord, request: PatchConversation) -> ConversationRecord:
    given = request.model_dump(exclude={"conversation_id"}, exclude_none=True)
    if "title" in given:
        given["title_given"] = True
    if "tags" in given:
        given["tags"] = _unique(given["tags"])
    for clearable in {"model", "authors_note"} & given.keys():
        given[clearable] = given[clearable] or None
    return replace(conversation, **given)


def _hit(hit: WordHit, words: list[str]) -> MessageHit:
    text = hit.message.content if hit.message else hit.conversation.title
    role: Role | None = None
    if hit.message is not None:
        role = "assistant" if hit.message.role == "assistant" else "user"
    return MessageHit(
        conversation_id=hit.conversation.id,
        title=hit.conversation.title,
        message_id=hit.message.id if hit.message else None,
        role=role,
        snippet=snippet(text, words),
        created_at=hit.created_at,
    )


def _unique(tags: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(tags))
