"""A conversation store that is not the chat service's own database, and how its facts get into the service's log.

A transaction of the store cannot write into the log of another database. So it keeps its facts beside what it changed,
in the same transaction, and the service moves them: it reads those that wait, writes into its log those that do not
stand there yet, and only then lets the store forget them.
"""

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from fireside.core.errors import UnavailableError
from fireside.core.ids import EventId
from fireside.ports.conversation_store import ConversationStore
from fireside.ports.stated_fact import StatedFact


class ConversationStoreUnavailableError(UnavailableError):
    """The store of conversations cannot be used at the moment."""

    code = "conversation_store_unavailable"


@runtime_checkable
class SeparateConversationStore(ConversationStore, Protocol):
    """A store with connections of its own and an outbox."""

    async def open(self) -> None:
        """Connect and make ready. Does nothing when it is open.

        Raises:
            ConversationStoreUnavailableError: It cannot be reached, or has no transactions.
        """
        ...

    async def close(self) -> None:
        """Disconnect. Does nothing when it is closed."""
        ...

    async def check(self) -> None:
        """See that it answers and takes changes.

        Raises:
            ConversationStoreUnavailableError: It does not.
        """
        ...

    async def waiting_facts(self, *, limit: int) -> list[StatedFact]:
        """Facts that were not forgotten yet; those of one aggregate in the order in which they were stated."""
        ...

    async def forget_facts(self, ids: Sequence[EventId]) -> None:
        """Let go of facts that stand in the log."""
        ...

    def when_stated(self, wake: Callable[[], None]) -> None:
        """Call this after each commit that stated facts. It must return at once."""
        ...
