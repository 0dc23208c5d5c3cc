"""The chat service: its actions, and the parts it is put together from."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, suppress

from fireside.contracts import chat
from fireside.contracts.answer import AnswerEvent
from fireside.contracts.base import Nothing
from fireside.contracts.conversation import ConversationView, FeedbackView, MessageView, NumberedEvent, StopAnswer
from fireside.core.clock import Clock, SystemClock
from fireside.core.errors import InvalidInputError, UnavailableError
from fireside.core.tasks import end
from fireside.ports.conversation_records import MessageRecord
from fireside.ports.conversation_store import ConversationStore
from fireside.ports.secret_box import SecretBox
from fireside.ports.separate_conversation_store import SeparateConversationStore
from fireside.runtime.context import Context
from fireside.runtime.durable import Database, DatabaseReadOnlyError, DurableService
from fireside.runtime.health import Check
from fireside.runtime.mesh import action, on_signal, stream_action
from fireside.runtime.mesh.service import Attachment
from fireside.services.chat.asking import Asking
from fireside.services.chat.conversing import Conversing
from fireside.services.chat.erasing import ErasesOwners, Erasing
from fireside.services.chat.exchange import Exchange
from fireside.services.chat.following import Following
from fireside.services.chat.history import trimmed
from fireside.services.chat.housekeeping import Housekeeping
from fireside.services.chat.moving import FactMover
from fireside.services.chat.pipeline import Pipeline, Question
from fireside.services.chat.repository.store import SqlConversationStore
from fireside.services.chat.sealed_store import SealedConversationStore
from fireside.services.chat.settings import ChatSettings
from fireside.services.chat.stored_responses import OffersResponses, ResponseBook
from fireside.services.chat.views import message_view
from fireside.services.chat.writing import AnswerWriter


class ChatService(OffersResponses, ErasesOwners, DurableService):
    """Conversations, questions and answers."""

    name = "chat"

    def __init__(
        self,
        *,
        database: Database,
        settings: ChatSettings,
        node_id: str,
        box: SecretBox,
        clock: Clock | None = None,
        store: ConversationStore | None = None,
    ) -> None:
        """Put the service together.

        Args:
            database: The service's own; conversations live there unless `store` says where else.
            settings: Limits and times.
            node_id: The name under which this node finds its own answers again after a crash.
            box: Seals what people and models write.
            clock: Tells the time.
            store: Where conversations live.
        """
        super().__init__(database=database)
        clock = clock or SystemClock()
        kept = SealedConversationStore(store or SqlConversationStore(database), box)
        self._settings = settings
        self._pipeline = Pipeline(clock=clock)
        self._writer = AnswerWriter(
            store=kept, pipeline=self._pipeline, settings=settings, clock=clock, node_id=node_id
        )
        self.erasing = Erasing(store=kept, writer=self._writer, database=database)
        self.responses = ResponseBook(database=database, box=box, settings=settings, clock=clock)
        self._housekeeping = Housekeeping(
            store=kept, writer=self._writer, responses=self.responses, settings=settings, clock=clock
        )
        self._following = Following(
            store=kept,
            writer=self._writer,
            settings=settings,
            give_up_abandoned=self._housekeeping.give_up_abandoned,
        )
        self._asking = Asking(store=kept, writer=self._writer, settings=settings, clock=clock)
        self._conversing = Conversing(store=kept, following=self._following, settings=settings, clock=clock)
        self._exchange = Exchange(store=kept, following=self._following)
        self._sweeps: asyncio.Task[None] | None = None
        self._separate = store if isinstance(store, SeparateConversationStore) else None
        self._mover = FactMover(self._separate, database) if self._separate else None

    async def open(self) -> None:
        """Open the database, and the store where it is another one."""
        await super().open()
        if self._separate is not None:
            await self._separate.open()

    async def close(self) -> None:
        """Close what was opened."""
        if self._separate is not None:
            await self._separate.close()
        await super().close()

    def attachments(self) -> Sequence[Attachment]:
        """What every service with a database has, and what moves the facts of a store that is another one."""
        return [*super().attachments(), *([self._mover] if self._mover else [])]

    async def health(self) -> Mapping[str, Check]:
        """How the database is, and the store where it is another one."""
        checks = dict(await super().health())
        if self._separate is not None and self._mover is not None:
            checks["conversations"] = await _store_check(self._separate, self._mover)
        return checks

    async def start(self, context: Context) -> None:
        """Give up what an earlier start left behind, then accept questions."""
        del context
        with suppress(DatabaseReadOnlyError):  # housekeeping goes on trying
            await self._housekeeping.give_up_abandoned()
        self._writer.open()
        self._sweeps = asyncio.create_task(self._housekeeping.run_forever())

    async def stop(self) -> None:
        """Let answers finish, or keep what they have."""
        if self._sweeps is None:
            return
        await end(self._sweeps)
        await self._asking.close()
        await self._writer.close()

    @action(chat.CREATE)
    async def create(self, context: Context, request: chat.CreateConversation) -> ConversationView:
        """Begin a conversation.

        Raises:
            IdTakenError: The id that was sent along is taken.
        """
        return await self._conversing.create(context, request)

    @action(chat.LIST)
    async def list_page(self, context: Context, request: chat.ListConversations) -> chat.Conversations:
        """List the caller's conversations, or find those that hold the words of the query."""
        return await self._conversing.list_page(context, request)

    @action(chat.GET)
    async def get(self, context: Context, request: chat.ConversationRef) -> ConversationView:
        """One conversation."""
        return await self._conversing.get(context, request.conversation_id)

    @action(chat.PATCH)
    async def patch(self, context: Context, request: chat.PatchConversation) -> ConversationView:
        """Rename, pin, archive, tag, or choose the branch and the ways of answering."""
        return await self._conversing.patch(context, request)

    @action(chat.DELETE)
    async def delete(self, context: Context, request: chat.ConversationRef) -> Nothing:
        """Delete a conversation; it can be restored for a time."""
        await self._conversing.delete(context, request.conversation_id)
        return Nothing()

    @action(chat.RESTORE)
    async def restore(self, context: Context, request: chat.ConversationRef) -> ConversationView:
        """Bring a deleted conversation back."""
        return await self._conversing.restore(context, request.conversation_id)

    @action(chat.LIST_MESSAGES)
    async def list_messages(self, context: Context, request: chat.ListMessages) -> chat.Messages:
        """List the messages of a conversation, all branches."""
        return await self._conversing.messages(context, request)

    @action(chat.GET_MESSAGE)
    async def get_message(self, context: Context, request: chat.MessageRef) -> MessageView:
        """One message; an answer that is being written with its text so far."""
        return await self._conversing.message(context, request.message_id)

    @action(chat.ADD_CONTEXT)
    async def add_context(self, context: Context, request: chat.AddContext) -> MessageView:
        """Store a post that the next answer knows of."""
        return message_view(await self._asking.add_context(context, request))

    @action(chat.FEEDBACK)
    async def give_feedback(self, context: Context, request: chat.GiveFeedback) -> FeedbackView:
        """Rate an answer.

        Raises:
            AlreadyRatedError: The caller rated it before.
        """
        return await self._conversing.give_feedback(context, request)

    @action(chat.SEARCH)
    async def search(self, context: Context, request: chat.SearchMessages) -> chat.MessageHits:
        """Find messages and titles by words."""
        return await self._conversing.search(context, request)

    @action(chat.EXPORT)
    async def export(self, context: Context, request: chat.ExportConversation) -> chat.ExportedFile:
        """Make a file of a conversation."""
        return await self._exchange.export(context, request)

    @action(chat.IMPORT)
    async def bring_in(self, context: Context, request: chat.ImportConversation) -> ConversationView:
        """Make a conversation of a json export."""
        return await self._exchange.bring_in(context, request)

    @stream_action(chat.ASK)
    def ask(self, context: Context, request: chat.AskQuestion) -> AsyncGenerator[NumberedEvent]:
        """Store a question and give the events of its answer, which is written whether anyone reads along or not.

        Raises:
            TooManyAnswersError: The caller has as many answers being written as one may have.
            BusyError: The node has as many as it can.
            AnswerRunningError: The answer before the question is still being written.
            IdTakenError: The id that was sent along is that of another message.
        """
        return self._events(lambda: self._asking.ask(context, request), after=request.after)

    @stream_action(chat.REGENERATE)
    def regenerate(self, context: Context, request: chat.RegenerateAnswer) -> AsyncGenerator[NumberedEvent]:
        """Begin another answer to a question and give its events."""
        return self._events(lambda: self._asking.regenerate(context, request))

    @stream_action(chat.EDIT)
    def edit(self, context: Context, request: chat.EditQuestion) -> AsyncGenerator[NumberedEvent]:
        """Ask a question in other words, as a branch, and give the events of its answer."""
        return self._events(lambda: self._asking.edit(context, request))

    @stream_action(chat.EVENTS)
    def events(self, context: Context, request: chat.FollowAnswer) -> AsyncGenerator[NumberedEvent]:
        """The events of an answer again, or on, from any of them."""
        owner_id = context.identity.require_user()
        return self._events(lambda: self._following.answer_of(owner_id, request.message_id), after=request.after)

    @action(chat.STOP)
    async def stop_answer(self, context: Context, request: chat.MessageRef) -> MessageView:
        """End an answer where it is; what there is of it is kept."""
        return message_view(await self._following.stop(context, request.message_id))

    @on_signal(StopAnswer)
    async def on_stop(self, context: Context, signal: StopAnswer) -> None:
        """End an answer that this node writes."""
        del context
        running = self._writer.find(signal.message_id)
        if running is not None:
            running.cancel("stopped")

    @stream_action(chat.COMPLETE)
    async def complete(self, context: Context, request: chat.CompleteTurns) -> AsyncGenerator[AnswerEvent]:
        """Answer turns that are not stored, as long as the caller reads along."""
        question = _question_of(request, history_chars=self._settings.history_chars)
        with self._writer.room_for_one():
            async with aclosing(self._pipeline.answer(context, question)) as events:
                async for event in events:
                    yield event

    async def _events(
        self, begin: Callable[[], Awaitable[MessageRecord]], *, after: int = 0
    ) -> AsyncGenerator[NumberedEvent]:
        answer = await begin()
        async with aclosing(self._following.events(answer, after=after)) as events:
            async for event in events:
                yield event


async def _store_check(store: SeparateConversationStore, mover: FactMover) -> Check:
    try:
        await store.check()
    except UnavailableError as error:
        return Check("failed", error.message)
    return Check("degraded", f"facts wait in the store: {mover.trouble}") if mover.trouble else Check("ok")


def _question_of(request: chat.CompleteTurns, *, history_chars: int) -> Question:
    *before, last = request.turns
    if last.role != "user" or not last.content.strip():
        raise InvalidInputError("the last turn must be the user's question")
    return Question(
        text=last.content,
        history=trimmed(reversed(before), budget_chars=history_chars),
        mode=request.mode,
        model=request.model or None,
        authors_note=request.instructions or None,
        max_tokens=request.max_tokens,
    )
