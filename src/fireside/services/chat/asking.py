"""Questions and what follows from them: the question and its answer are stored in one transaction, then it is written.

What has been stored is begun even when the caller goes away in between.
"""

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import ExitStack
from typing import Any, cast

from fireside.contracts.answer import RequestedMode
from fireside.contracts.chat import AddContext, AskQuestion, EditQuestion, RegenerateAnswer
from fireside.core.clock import Clock
from fireside.core.ids import MessageId, UserId, new_id
from fireside.core.tasks import Tasks
from fireside.ports.conversation_records import ConversationRecord, MessageRecord
from fireside.ports.conversation_store import ConversationStore, ConversationWork
from fireside.runtime.context import Context
from fireside.services.chat.errors import (
    IdTakenError,
    NotAnAnswerError,
    NotAQuestionError,
    TooManyAnswersError,
)
from fireside.services.chat.history import history_from
from fireside.services.chat.notes import notes_from
from fireside.services.chat.pipeline import Question
from fireside.services.chat.posting import Post, branch_of, find_resent, get_conversation, get_message, put, save_at
from fireside.services.chat.settings import ChatSettings
from fireside.services.chat.writing import AnswerWriter

Wish = tuple[RequestedMode | None, str | None]
"""Mode and model asked for; None and empty leave it to the conversation."""


class Asking:
    """Takes questions, edits and wishes for another answer, and starts the answers."""

    def __init__(self, *, store: ConversationStore, writer: AnswerWriter, settings: ChatSettings, clock: Clock) -> None:
        self._store = store
        self._writer = writer
        self._settings = settings
        self._clock = clock
        self._begun = Tasks()

    async def ask(self, context: Context, request: AskQuestion) -> MessageRecord:
        """Store a question and begin its answer, or find the answer to one that was sent before.

        Returns:
            The answer.
        """
        post = Post(
            conversation_id=request.conversation_id,
            content=request.content,
            id=request.id,
            parent_id=request.parent_id,
            at_end=request.parent_id is None,
        )
        return await self._to_end(self._ask(context, post, (request.mode, request.model)))

    async def edit(self, context: Context, request: EditQuestion) -> MessageRecord:
        """Store a question in other words beside the one it replaces, and begin its answer.

        Returns:
            The answer.
        """
        owner_id = context.identity.require_user()
        async with self._store.read() as reads:
            original = await get_message(reads, owner_id, request.message_id)
        if original.role != "user":
            raise NotAQuestionError(message_id=str(original.id))
        post = Post(
            conversation_id=original.conversation_id,
            content=request.content,
            id=request.id,
            parent_id=original.parent_id,
        )
        return await self._to_end(self._ask(context, post, (request.mode, request.model)))

    async def regenerate(self, context: Context, request: RegenerateAnswer) -> MessageRecord:
        """Begin another answer to a question.

        Returns:
            The answer.
        """
        return await self._to_end(self._regenerate(context, request))

    async def add_context(self, context: Context, request: AddContext) -> MessageRecord:
        """Store a post that gets no answer of its own, once however often it is sent."""
        owner_id = context.identity.require_user()
        post = Post(
            conversation_id=request.conversation_id,
            content=request.content,
            id=request.id,
            parent_id=request.parent_id,
            at_end=request.parent_id is None,
            context_only=True,
        )
        async with self._store.transaction(context) as work:
            conversation = await get_conversation(work, owner_id, post.conversation_id)
            resent = await find_resent(work, owner_id, post)
            if resent is not None:
                return resent
            posted = await put(work, conversation, post, clock=self._clock, ancestors=1)
            await save_at(work, posted.conversation, posted.message)
        return posted.message

    async def close(self) -> None:
        """Wait until everything that was begun is started."""
        await self._begun.wait()

    async def _ask(self, context: Context, post: Post, wish: Wish) -> MessageRecord:
        owner_id = context.identity.require_user()
        turns = self._settings.history_turns
        with ExitStack() as room:
            async with self._store.transaction(context) as work:
                conversation = await get_conversation(work, owner_id, post.conversation_id)
                resent = await find_resent(work, owner_id, post)
                if resent is not None:
                    return await _first_answer(work, resent)
                room.enter_context(self._writer.room_for_one())
                posted = await put(work, conversation, post, clock=self._clock, ancestors=turns)
                answer = await self._add_answer(work, posted.conversation, posted.message, wish)
                await save_at(work, posted.conversation, answer)
            self._start(context, posted.conversation, (posted.message, answer), wish, posted.before)
        return answer

    async def _regenerate(self, context: Context, request: RegenerateAnswer) -> MessageRecord:
        owner_id = context.identity.require_user()
        wish = (request.mode, request.model)
        with self._writer.room_for_one():
            async with self._store.transaction(context) as work:
                question = await self._question_of(work, owner_id, request.message_id)
                conversation = await get_conversation(work, owner_id, question.conversation_id)
                before = await branch_of(work, conversation, question.parent_id, limit=self._settings.history_turns)
                answer = await self._add_answer(work, conversation, question, wish)
                await save_at(work, conversation, answer)
            self._start(context, conversation, (question, answer), wish, before)
        return answer

    async def _question_of(self, work: ConversationWork, owner_id: UserId, message_id: MessageId) -> MessageRecord:
        message = await get_message(work, owner_id, message_id)
        if message.role == "user":
            return message
        if message.parent_id is None:
            raise NotAnAnswerError("this message answers no question", message_id=str(message_id))
        return await self._question_of(work, owner_id, message.parent_id)

    async def _add_answer(
        self, work: ConversationWork, conversation: ConversationRecord, question: MessageRecord, wish: Wish
    ) -> MessageRecord:
        now = self._clock.now()
        running, limit = await work.count_streaming(question.owner_id, now=now), self._settings.max_answers_per_user
        if running >= limit:
            raise TooManyAnswersError(
                f"{running} of your answers are being written; wait for one or stop one", limit=limit, retry_after_s=2
            )
        mode, model = _resolved(wish, conversation)
        answer = MessageRecord(
            id=MessageId(new_id()),
            conversation_id=conversation.id,
            owner_id=question.owner_id,
            parent_id=question.id,
            role="assistant",
            content="",
            state="streaming",
            mode=None if mode == "auto" else mode,
            model=model,
            created_at=now,
            lease=self._writer.lease(),
        )
        await work.add_message(answer)
        return answer

    def _start(
        self,
        context: Context,
        conversation: ConversationRecord,
        pair: tuple[MessageRecord, MessageRecord],
        wish: Wish,
        before: Sequence[MessageRecord],
    ) -> None:
        question, answer = pair
        mode, model = _resolved(wish, conversation)
        asked = Question(
            text=question.content,
            history=history_from(before, budget_chars=self._settings.history_chars),
            notes=notes_from(before),
            mode=mode,
            model=model,
            authors_note=conversation.authors_note,
        )
        self._writer.start(context, asked, answer)

    async def _to_end(self, beginning: Coroutine[Any, Any, MessageRecord]) -> MessageRecord:
        task = self._begun.run(beginning)
        task.add_done_callback(_see)
        return await asyncio.shield(task)


def _see(task: asyncio.Task[MessageRecord]) -> None:
    if not task.cancelled():
        task.exception()  # a caller that went away does not ask for it


async def _first_answer(work: ConversationWork, question: MessageRecord) -> MessageRecord:
    answers = await work.answers(question.id)
    if not answers:
        raise IdTakenError(id=str(question.id))
    return answers[0]


def _resolved(wish: Wish, conversation: ConversationRecord) -> tuple[RequestedMode, str | None]:
    mode, model = wish
    return mode or cast("RequestedMode", conversation.mode), model or conversation.model or None
