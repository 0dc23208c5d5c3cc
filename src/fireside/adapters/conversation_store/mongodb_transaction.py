"""One transaction of MongoDB that is begun again when it meets another.

MongoDB does not let a transaction wait for another that changes the same document: it ends it. So each step that was
done is kept, and when the server ends the transaction, all steps are done again in a new one. When one of them gives
something else than before, what the caller decided by it may be wrong: the transaction fails, and nothing happened.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from typing import Any, TypeVar

from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import DuplicateKeyError, PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from fireside.ports.conversation_store import DuplicateIdError
from fireside.ports.separate_conversation_store import ConversationStoreUnavailableError

ResultT = TypeVar("ResultT")

_LONGEST_PAUSE_S = 0.1


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What a step gave: a value, or that an id is taken."""

    value: Any = None
    is_duplicate: bool = False


class ReplayedTransaction:
    """A transaction on a session; the session's end rolls back what was not committed."""

    def __init__(self, session: AsyncClientSession, *, within_s: float) -> None:
        """Describe a transaction.

        Args:
            session: Used for it alone.
            within_s: How long to begin again and again.
        """
        self.session = session
        self._deadline = monotonic() + within_s
        self._steps: list[Callable[[], Awaitable[Any]]] = []
        self._seen: list[_Outcome] = []
        self._done = 0
        self._failures = 0

    async def begin(self) -> None:
        """Begin, on one consistent view of everything that most members of the replica set have."""
        await self.session.start_transaction(
            read_concern=ReadConcern("snapshot"), write_concern=WriteConcern("majority", j=True)
        )

    async def run(self, step: Callable[[], Awaitable[ResultT]]) -> ResultT:
        """Do one step, which may be done again later.

        Raises:
            DuplicateIdError: The step says so.
            ConversationStoreUnavailableError: The server is away, or others were faster too often.
        """
        self._steps.append(step)
        await self._catch_up()
        outcome = self._seen[-1]
        if outcome.is_duplicate:
            raise DuplicateIdError
        value: ResultT = outcome.value
        return value

    async def commit(self) -> None:
        """Make all of it happen.

        Raises:
            ConversationStoreUnavailableError: It did not happen, or the server went away before it said so.
        """
        while True:
            try:
                await self.session.commit_transaction()
            except PyMongoError as error:
                if error.has_error_label("UnknownTransactionCommitResult"):
                    await self._pause(error)  # committing again is safe: the server knows this transaction
                    continue
                await self._begin_again(error)
                await self._catch_up()
            else:
                return

    async def _catch_up(self) -> None:
        while self._done < len(self._steps):
            try:
                outcome = await _attempt(self._steps[self._done])
            except PyMongoError as error:
                await self._begin_again(error)
                continue
            if self._done == len(self._seen):
                self._seen.append(outcome)
            elif self._seen[self._done] != outcome:
                raise ConversationStoreUnavailableError("someone else changed the conversation meanwhile; try again")
            self._done += 1

    async def _begin_again(self, error: PyMongoError) -> None:
        if not (error.has_error_label("TransientTransactionError") or isinstance(error, DuplicateKeyError)):
            raise unavailable(error) from error
        with translated_errors():
            if self.session.in_transaction:
                await self.session.abort_transaction()
            await self._pause(error)
            await self.begin()
        self._done = 0

    async def _pause(self, error: PyMongoError) -> None:
        if monotonic() > self._deadline:
            raise unavailable(error) from error
        self._failures += 1
        longest = min(0.002 * 2**self._failures, _LONGEST_PAUSE_S)
        await asyncio.sleep(random.uniform(0, longest))  # noqa: S311 - spreads those that wait; nothing secret


async def _attempt(step: Callable[[], Awaitable[Any]]) -> _Outcome:
    try:
        return _Outcome(await step())
    except DuplicateIdError:
        return _Outcome(is_duplicate=True)


def unavailable(error: PyMongoError) -> ConversationStoreUnavailableError:
    """What the driver raised, as an error that says what it means; its text may hold values of documents."""
    return ConversationStoreUnavailableError(f"the MongoDB server does not do this now: {type(error).__name__}")


@contextmanager
def translated_errors() -> Generator[None]:
    """Raise what the driver raises inside as ConversationStoreUnavailableError."""
    try:
        yield
    except PyMongoError as error:
        raise unavailable(error) from error
