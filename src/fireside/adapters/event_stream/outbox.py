"""`outbox://`: facts handed from log to inbox within one process.

Nothing is stored on the way, because both ends are tables: the publisher keeps a place in its log for each group and
moves it once the group's inbox has the facts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from fireside.core.errors import FiresideError
from fireside.ports.event_stream import EventEnvelope, EventStreamError, Receive, RejectedMessage


@dataclass(eq=False)
class _Member:
    stream: "OutboxEventStream"
    group: str
    topics: frozenset[str]
    receive: Receive

    async def close(self) -> None:
        """Leave the group."""
        self.stream.leave(self)


@dataclass(eq=False)
class OutboxEventStream:
    """The event stream of a node that hosts all publishers and consumers itself."""

    _groups: dict[str, list[_Member]] = field(default_factory=lambda: dict[str, list[_Member]]())

    async def open(self) -> None:
        """There is nothing to connect to."""

    async def close(self) -> None:
        """End all subscriptions."""
        self._groups.clear()

    def destinations(self) -> Mapping[str, frozenset[str] | None]:
        """The groups with a member in this process, with their topics."""
        return {group: members[0].topics for group, members in self._groups.items()}

    async def publish(self, destination: str, events: Sequence[EventEnvelope]) -> None:
        """Have a member of the group take the facts that it wants; the first that can.

        Raises:
            EventStreamError: The group has no member here, or none could take them.
        """
        members = list(self._groups.get(destination, ()))
        reason = "it has no member in this process"
        for member in members:
            wanted = [event for event in events if event.topic in member.topics]
            try:
                if wanted:
                    await member.receive(wanted)
            except FiresideError as error:
                reason = error.message
            else:
                return
        raise EventStreamError(f"the group {destination} takes no facts: {reason}", group=destination)

    async def subscribe(self, group: str, topics: frozenset[str], receive: Receive) -> _Member:
        """Join a group."""
        member = _Member(self, group, topics, receive)
        self._groups.setdefault(group, []).append(member)
        return member

    async def rejected(self, *, limit: int = 100) -> Sequence[RejectedMessage]:
        """Nothing but facts comes this way."""
        del limit
        return ()

    async def offer_again(self, message_id: UUID) -> bool:
        """Nothing was put aside."""
        del message_id
        return False

    async def shortcomings(self) -> Sequence[str]:
        """Nothing is kept on the way that could be lost."""
        return ()

    def leave(self, member: _Member) -> None:
        """Take a member out of its group; a group without members is no destination any more."""
        members = self._groups.get(member.group, [])
        if member in members:
            members.remove(member)
        if not members:
            self._groups.pop(member.group, None)
