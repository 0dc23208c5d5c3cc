"""Erasing what is kept for a user who is gone: nothing more is accepted at once, the rest is the work of a job.

The job's steps are harmless to repeat. First the store begins no conversation for the user any more, then all there
are go, a few at a time, and with them the answers that are being written: what is told of those later finds no place.
In the end the nodes that write them are told to stop; one that does not hear it learns it with its next sign of life.
"""

from typing import Any, Final

from fireside.contracts.auth_facts import UserDeleted
from fireside.contracts.base import Contract
from fireside.contracts.conversation import ConversationErased, OwnerErased
from fireside.core.ids import UserId
from fireside.ports.conversation_store import ConversationStore
from fireside.runtime.context import Context
from fireside.runtime.durable import Database, Job, JobRun, UnitOfWork, on_job
from fireside.runtime.mesh import on_event, on_signal
from fireside.services.chat.repository import responses
from fireside.services.chat.writing import AnswerWriter

_AT_ONCE = 20


class EraseOwner(Contract):
    """Erase every conversation of this user."""

    owner_id: UserId


ERASE: Final = Job("chat.erase_owner", EraseOwner, max_attempts=20, timeout_s=3600.0, concurrency=1, retry_s=2.0)


class Erasing:
    """Erases conversations by their owner."""

    def __init__(self, *, store: ConversationStore, writer: AnswerWriter, database: Database) -> None:
        self._store, self._writer, self._database = store, writer, database

    async def erase(self, context: Context, run: JobRun, owner_id: UserId) -> int:
        """Erase all conversations of an owner, and begin none any more.

        Returns:
            How many there were; after an attempt that was interrupted, how many were left.
        """
        async with self._store.transaction(context) as work:
            await work.refuse_owner(owner_id)
        erased, more = 0, True
        while more:
            async with self._store.transaction(context) as work:
                gone = await work.erase_some_of(owner_id, limit=_AT_ONCE)
                for conversation_id in gone:
                    work.emit(ConversationErased(conversation_id=conversation_id, owner_id=owner_id))
            erased, more = erased + len(gone), len(gone) == _AT_ONCE
            await run.progress(0.0 if more else 100.0, "erasing", f"{erased} conversations")
        await context.broadcast(OwnerErased(owner_id=owner_id))
        await self._database.clear_traces()
        return erased

    def stop_answers(self, owner_id: UserId) -> None:
        """End the answers that this node writes for an owner who is gone."""
        for running in self._writer.of_owner(owner_id):
            running.cancel("stopped")


class ErasesOwners:
    """What a service does about users who are gone, when it has something that erases."""

    erasing: Erasing

    @on_event(UserDeleted)
    async def erase_user(self, _context: Context, event: UserDeleted, unit: UnitOfWork) -> None:
        """Erase what is kept for a user who is gone: kept Responses now, conversations by a job."""
        await responses.erase_of(unit.session, event.user_id)
        unit.enqueue(ERASE, EraseOwner(owner_id=event.user_id), owner_id=None, key=str(event.user_id))

    @on_job(ERASE)
    async def run_erase(self, context: Context, run: JobRun, payload: EraseOwner) -> dict[str, Any]:
        """Erase the conversations of a user who is gone."""
        return {"conversations": await self.erasing.erase(context, run, payload.owner_id)}

    @on_signal(OwnerErased)
    async def on_owner_erased(self, _context: Context, signal: OwnerErased) -> None:
        """End what this node writes for a user who is gone."""
        self.erasing.stop_answers(signal.owner_id)
