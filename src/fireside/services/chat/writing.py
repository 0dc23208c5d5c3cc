"""Writes answers as work that outlives whoever asked: one task each, stored as it goes, ended in one transaction."""

import asyncio
from collections.abc import Generator
from contextlib import aclosing, contextmanager
from datetime import timedelta
from uuid import UUID

import structlog

from fireside.contracts.answer import Final
from fireside.core.clock import Clock
from fireside.core.errors import DeadlineExceededError, FiresideError, InternalError, UpstreamError
from fireside.core.ids import MessageId, UserId, new_id
from fireside.core.tasks import Tasks, end
from fireside.ports.conversation_records import Lease, MessageRecord
from fireside.ports.conversation_store import ConversationStore
from fireside.runtime.context import Context
from fireside.services.chat import endings
from fireside.services.chat.endings import Ending
from fireside.services.chat.errors import AnswerTooLongError, BusyError
from fireside.services.chat.pipeline import Pipeline, Question
from fireside.services.chat.posting import index_message
from fireside.services.chat.running import RunningAnswer
from fireside.services.chat.settings import ChatSettings

log = structlog.stdlib.get_logger(__name__)

_STORE_ATTEMPTS = 4
_FIRST_WAIT_S = 0.25


class AnswerWriter:
    """The answers that this node is writing."""

    def __init__(
        self, *, store: ConversationStore, pipeline: Pipeline, settings: ChatSettings, clock: Clock, node_id: str
    ) -> None:
        self._store = store
        self._pipeline = pipeline
        self._settings = settings
        self._clock = clock
        self.node_id = node_id
        self.boot_id: UUID = new_id()
        self._running: dict[MessageId, RunningAnswer] = {}
        self._tasks = Tasks()
        self._background: list[asyncio.Task[None]] = []
        self._beginning = 0
        self._is_open = False
        self._dirty = asyncio.Event()
        self._urgent = asyncio.Event()

    def open(self) -> None:
        """Accept answers and store their events as they come."""
        self._is_open = True
        self._background = [asyncio.create_task(self._flush_forever()), asyncio.create_task(self._renew_forever())]

    async def close(self) -> None:
        """Let running answers finish for a while, then interrupt those that are left. Their texts are kept."""
        self._is_open = False
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=self._settings.drain_s)
        for running in tuple(self._running.values()):
            running.cancel("interrupted")
        await self._tasks.wait()
        await end(*self._background)

    def lease(self) -> Lease:
        """The lease of an answer that begins or goes on now."""
        until = self._clock.now() + timedelta(seconds=self._settings.lease_s)
        return Lease(self.node_id, self.boot_id, until)

    @contextmanager
    def room_for_one(self) -> Generator[None]:
        """Keep a place for an answer that is about to be started.

        Raises:
            BusyError: All places are taken, or the node is stopping.
        """
        if not self._is_open:
            raise BusyError("this server is stopping; try again in a moment", retry_after_s=2)
        if len(self._running) + self._beginning >= self._settings.max_answers:
            raise BusyError(retry_after_s=2)
        self._beginning += 1
        try:
            yield
        finally:
            self._beginning -= 1

    def start(self, context: Context, question: Question, answer: MessageRecord) -> None:
        """Begin to write an answer that is stored as streaming. Returns at once."""
        running = RunningAnswer(answer)
        self._running[answer.id] = running
        self._tasks.run(self._write(context.detached(), question, running))

    def find(self, message_id: MessageId) -> RunningAnswer | None:
        """The answer, when this node is writing it."""
        return self._running.get(message_id)

    def of_owner(self, owner_id: UserId) -> list[RunningAnswer]:
        """The answers that this node is writing for a user."""
        return [running for running in self._running.values() if running.answer.owner_id == owner_id]

    async def _write(self, context: Context, question: Question, running: RunningAnswer) -> None:
        ending = await self._lead_to_end(context, question, running)
        for event in ending.events:
            running.transcript.add(event)
        try:
            ending = await self._store_end(context, running, ending)
        except Exception as error:  # the outermost loop of an answer: its readers must hear of its end
            log.exception("answer_not_stored", message_id=str(running.answer.id))
            lost = error if isinstance(error, FiresideError) else InternalError("the answer could not be stored")
            ending = endings.failed(lost, request_id=context.request_id)
        del self._running[running.answer.id]
        running.end(ending.events)

    async def _lead_to_end(self, context: Context, question: Question, running: RunningAnswer) -> Ending:
        try:
            with running.cancellable():
                async with asyncio.timeout(self._settings.answer_timeout_s):
                    return endings.complete(running.answer, await self._collect(context, question, running))
        except asyncio.CancelledError:
            if running.end_reason == "stopped":
                return endings.stopped(running.answer, running.transcript)
            return endings.interrupted(request_id=context.request_id)
        except TimeoutError:
            limit_s = self._settings.answer_timeout_s
            error: FiresideError = DeadlineExceededError(f"the answer took longer than {limit_s:g} s", limit_s=limit_s)
        except FiresideError as raised:
            error = raised
        except Exception:  # the outermost loop of an answer
            log.exception("answer_failed", message_id=str(running.answer.id))
            error = InternalError()
        return endings.failed(error, request_id=context.request_id)

    async def _collect(self, context: Context, question: Question, running: RunningAnswer) -> Final:
        async with aclosing(self._pipeline.answer(context, question)) as events:
            async for event in events:
                if isinstance(event, Final):
                    return event
                running.add(event)
                self._dirty.set()
                if running.unsaved >= self._settings.flush_events:
                    self._urgent.set()
                if running.transcript.text_chars > self._settings.max_answer_chars:
                    raise AnswerTooLongError(limit_chars=self._settings.max_answer_chars)
        raise UpstreamError("the answer broke off before its end")

    async def _store_end(self, context: Context, running: RunningAnswer, ending: Ending) -> Ending:
        """Store how the answer ended, trying again while the store is unavailable.

        Returns:
            The ending; another one when the answer had been given up in the meantime.
        """
        for attempt in range(_STORE_ATTEMPTS):
            try:
                return await self._store_end_once(context, running, ending)
            except FiresideError as error:
                if not error.retryable or attempt == _STORE_ATTEMPTS - 1:
                    raise
                log.warning("answer_store_retry", message_id=str(running.answer.id), code=error.code)
            await asyncio.sleep(_FIRST_WAIT_S * 2**attempt)
        raise InternalError

    async def _store_end_once(self, context: Context, running: RunningAnswer, ending: Ending) -> Ending:
        answer = endings.ended(running.answer, running.transcript, ending.state, self._clock.now())
        async with self._store.transaction(context) as work:
            if not await work.finish_answer(answer, running.batch_ending_with(ending.events)):
                return endings.interrupted(request_id=context.request_id)
            await index_message(work, answer)
            work.emit(endings.fact_of(answer))
        return ending

    async def _flush_forever(self) -> None:
        while True:
            await self._dirty.wait()
            try:
                async with asyncio.timeout(self._settings.flush_interval_s):
                    await self._urgent.wait()
            except TimeoutError:
                pass
            self._dirty.clear()
            self._urgent.clear()
            try:
                await self.flush()
            except Exception:  # the outermost loop; the events stay and are written with the next ones
                log.exception("answer_events_not_stored")
                self._dirty.set()

    async def flush(self) -> None:
        """Store all events that are not stored yet, of all answers in one transaction."""
        batches = [(running, batch) for running in self._running.values() if (batch := running.unsaved_batch())]
        if not batches:
            return
        async with self._store.transaction() as work:
            await work.append_events([batch for _, batch in batches])
        for running, batch in batches:
            running.mark_saved(batch)

    async def _renew_forever(self) -> None:
        while True:
            await asyncio.sleep(self._settings.lease_s / 4)
            try:
                await self.renew_leases()
            except Exception:  # the outermost loop; there are three more tries before a lease runs out
                log.exception("answer_leases_not_renewed")

    async def renew_leases(self) -> None:
        """Show that this node's answers are being written, and stop those that someone wished to, or that are gone."""
        if not self._running:
            return
        async with self._store.transaction() as work:
            wished = await work.renew_leases(list(self._running), self.lease().until)
        for message_id in wished & self._running.keys():
            self._running[message_id].cancel("stopped")
