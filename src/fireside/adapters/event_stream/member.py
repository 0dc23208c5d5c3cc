"""A member of a consumer group that goes on by itself, whatever fails: the broker, the connection, or the receiver.

An adapter says what one session with its broker is: to join the group, and to take what comes until something fails.
When a session ends, the broker has everything back that was not taken, and another member may go on with it; after a
wait that grows with each failure a new session begins.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from random import random

import structlog

from fireside.core.tasks import end
from fireside.ports.event_stream import EventEnvelope, EventStreamError, Receive

log = structlog.stdlib.get_logger(__name__)

_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.1, 5.0
_LONGEST_FAREWELL_S = 6.0


class Member:
    """One member.

    Attributes:
        group: The consumer group.
        topics: What it asks for.
        closing: Whether its session should end; sessions look at this before they wait anew. See `end`.
    """

    def __init__(
        self, group: str, topics: frozenset[str], receive: Receive, session: Callable[["Member"], Awaitable[None]]
    ) -> None:
        self.group = group
        self.topics = topics
        self.closing = False
        self._receive = receive
        self._session = session
        self._failures = 0
        self._known = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin, and return once the broker knows the group, or cannot be reached at the moment."""
        self._task = asyncio.create_task(self._go_on(), name=f"member of {self.group}")
        await self._known.wait()

    def joined(self) -> None:
        """Called by a session as soon as what is published from now on will reach the group."""
        self._known.set()

    async def take(self, events: Sequence[EventEnvelope]) -> None:
        """Hand over those facts that the group asks for.

        Raises:
            EventStreamError: The receiver did not take them. This has to end the session.
        """
        wanted = [event for event in events if event.topic in self.topics]
        try:
            if wanted:
                await self._receive(wanted)
        except Exception as error:
            raise EventStreamError(f"the group {self.group} did not take facts: {error}", group=self.group) from error
        self._failures = 0

    async def close(self) -> None:
        """Receive nothing more. Returns once the broker has back what was not taken."""
        task, self._task = self._task, None
        self.closing = True
        await end(task, within_s=_LONGEST_FAREWELL_S)

    async def _go_on(self) -> None:
        while not self.closing:
            try:
                await self._session(self)
            except Exception as error:  # noqa: BLE001 - the outermost loop of a member, which goes on
                self._failures += 1
                if self._failures == 1:
                    log.warning("facts_not_received", group=self.group, error=str(error))
            self._known.set()
            await asyncio.sleep(_wait_s(self._failures))


class Members:
    """The members that joined through one stream."""

    def __init__(self) -> None:
        self._members = list[Member]()

    async def add(self, member: Member) -> Member:
        """Start a member."""
        self._members.append(member)
        await member.start()
        return member

    async def close(self) -> None:
        """End all."""
        members, self._members = self._members, []
        await asyncio.gather(*(member.close() for member in members))


def _wait_s(failures: int) -> float:
    """Doubled with each failure, and spread so that many do not come back at once."""
    whole = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2.0 ** min(failures - 1, 30)) if failures else 0.0
    return whole * (0.5 + random() / 2)  # noqa: S311 - spreads load, guards nothing
