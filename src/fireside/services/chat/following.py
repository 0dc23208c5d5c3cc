"""Reading along with an answer, wherever it is written, from any of its events on; and ending it from anywhere."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing

from fireside.contracts.conversation import NumberedEvent, StopAnswer
from fireside.core.ids import MessageId, UserId
from fireside.ports.conversation_records import MessageRecord
from fireside.ports.conversation_store import ConversationReads, ConversationStore
from fireside.runtime.context import Context
from fireside.services.chat.errors import NotAnAnswerError
from fireside.services.chat.posting import get_message
from fireside.services.chat.settings import ChatSettings
from fireside.services.chat.transcript import events_of
from fireside.services.chat.views import replayed
from fireside.services.chat.writing import AnswerWriter


class Following:
    """Gives the events of answers: from memory when this node writes them, else from the store."""

    def __init__(
        self,
        *,
        store: ConversationStore,
        writer: AnswerWriter,
        settings: ChatSettings,
        give_up_abandoned: Callable[[], Awaitable[None]],
    ) -> None:
        self._store = store
        self._writer = writer
        self._settings = settings
        self._give_up_abandoned = give_up_abandoned

    async def answer_of(self, owner_id: UserId, message_id: MessageId) -> MessageRecord:
        """The answer with this id, or the newest answer to the question with this id.

        Raises:
            MessageNotFoundError: There is no such message of this owner.
            NotAnAnswerError: It has no answer.
        """
        async with self._store.read() as reads:
            message = await get_message(reads, owner_id, message_id)
            if message.role == "assistant":
                return message
            answers = await reads.answers(message.id)
        if not answers:
            raise NotAnAnswerError("this message has no answer", message_id=str(message_id))
        return answers[-1]

    async def events(self, answer: MessageRecord, *, after: int) -> AsyncGenerator[NumberedEvent]:
        """The events of an answer with ids above `after`, those to come included."""
        while True:
            running = self._writer.find(answer.id)
            if running is not None:
                async with aclosing(running.follow(after)) as events:
                    async for event in events:
                        yield event
                return
            async with self._store.read() as reads:
                if answer.state == "streaming":
                    answer = await get_message(reads, answer.owner_id, answer.id)
                batches = await reads.event_batches(answer.id, after=after)
            for event in (event for batch in batches for event in events_of(batch) if event.id > after):
                after = event.id
                yield event
            if answer.state != "streaming":
                return
            await self._give_up_abandoned()
            await asyncio.sleep(self._settings.poll_interval_s)

    async def stop(self, context: Context, message_id: MessageId) -> MessageRecord:
        """End an answer where it is, whichever node writes it; one that has ended stays as it is.

        Returns:
            The answer; still streaming when its node did not react in time.
        """
        owner_id = context.identity.require_user()
        answer = await self.answer_of(owner_id, message_id)
        if answer.state != "streaming":
            return answer
        running = self._writer.find(answer.id)
        if running is not None:
            running.cancel("stopped")
            await running.wait_ended()
        else:
            await self._stop_elsewhere(context, answer)
        return await self.answer_of(owner_id, answer.id)

    async def current(self, reads: ConversationReads, message: MessageRecord) -> MessageRecord:
        """The message; one that is being written with what there is of it so far."""
        if message.state != "streaming":
            return message
        running = self._writer.find(message.id)
        if running is not None:
            return running.transcript.apply_to(message)
        return replayed(await reads.event_batches(message.id, after=0)).apply_to(message)

    async def _stop_elsewhere(self, context: Context, answer: MessageRecord) -> None:
        async with self._store.transaction(context) as work:
            await work.wish_stop(answer.id)
        await context.broadcast(StopAnswer(message_id=answer.id))
        try:
            async with asyncio.timeout(self._settings.stop_wait_s):
                async for _ in self.events(answer, after=0):
                    pass
        except TimeoutError:
            return  # the wish is stored: its node sees it with the next sign of life
