"""Facts on their way from the service that states them to those that want to know.

Above lies the durable core: it publishes from the event log of a service, in order, until the stream has taken every
fact, and it stores what it receives in the inbox of a service before it acknowledges. So a stream needs no retries, no
back-off and no dead letters for handlers that fail; it carries facts safely from log to inbox. Below lies a broker, or
nothing at all when publisher and consumers share a process.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Protocol
from uuid import NAMESPACE_OID, UUID, uuid5

from fireside.core.errors import UnavailableError
from fireside.core.ids import EventId, UserId


class EventStreamError(UnavailableError):
    """The stream cannot take or deliver facts at the moment."""

    code = "event_stream_unavailable"


@dataclass(frozen=True, slots=True)
class EventEnvelope:
    """A fact with what is known about it.

    Attributes:
        id: The same however often the fact is delivered.
        topic: What kind of fact: `documents.indexed`.
        source: The service in whose log it stands.
        sequence: Its place in that log, from 1, without gaps.
        aggregate_id: The object whose history it belongs to.
        aggregate_version: Its place in that history, from 1, without gaps.
        occurred_at: When it was stated, UTC.
        actor_id: The user who caused it; None when no user did.
        request_id: The request that caused it; empty when none did.
        payload: The fact itself, as a JSON object.
    """

    id: EventId
    topic: str
    source: str
    sequence: int
    aggregate_id: UUID
    aggregate_version: int
    occurred_at: datetime
    actor_id: UserId | None
    request_id: str
    payload: str


@dataclass(frozen=True, slots=True)
class RejectedMessage:
    """Something that came to a group and is no fact; it was put aside so that it holds up nothing.

    Attributes:
        group: The consumer group that it came to.
        body: What came, as it came.
        rejected_at: When it was put aside, UTC.
    """

    group: str
    body: bytes
    rejected_at: datetime

    @property
    def id(self) -> UUID:
        """Follows from the group and the body: the same thing put aside twice has one id."""
        return uuid5(NAMESPACE_OID, f"{self.group} {sha256(self.body).hexdigest()}")


Receive = Callable[[Sequence[EventEnvelope]], Awaitable[None]]
"""Takes facts into safe keeping. Once it has returned they are not needed again; when it raises, all of them are."""


class Subscription(Protocol):
    """One member of a consumer group."""

    async def close(self) -> None:
        """Receive nothing more. What was delivered and not taken goes to another member, or waits for one."""
        ...


class EventStream(Protocol):
    """Delivers every fact at least once to each consumer group, in order per aggregate.

    A group is the members that subscribe under one name; each fact goes to one of them. A group keeps its place when
    all of its members are gone. A group that is new receives the facts published from then on, and may receive
    earlier ones. A slow or failing group holds up no other.
    """

    async def open(self) -> None:
        """Connect. Returns at once when the broker is away: publishing fails until it is back.

        Raises:
            EventStreamError: The broker refuses the credentials or cannot do what is needed.
        """
        ...

    async def close(self) -> None:
        """End all subscriptions and disconnect."""
        ...

    def destinations(self) -> Mapping[str, frozenset[str] | None]:
        """Where facts must arrive, each with its own place in the publisher's log: the topics it takes, None for all.

        A broker is one destination, because it stores for its groups. In process every group is one.
        """
        ...

    async def publish(self, destination: str, events: Sequence[EventEnvelope]) -> None:
        """Hand facts over, in this order. When this returns, they survive the loss of this process and the broker's.

        Args:
            destination: One of `destinations()`.
            events: In order of their place in the log. Handing over twice is allowed.

        Raises:
            EventStreamError: Some or all were not taken; the same ones have to be published again, in order.
        """
        ...

    async def subscribe(self, group: str, topics: frozenset[str], receive: Receive) -> Subscription:
        """Receive facts as a member of a group. While the broker is away nothing comes; then it goes on by itself.

        Args:
            group: Name of the consumer group; all members ask for the same topics.
            topics: What kinds of fact to receive.
            receive: Called with one or more facts at a time, never twice at once for a subscription. When it raises,
                the same facts come again after a short wait, before any later ones.
        """
        ...

    async def rejected(self, *, limit: int = 100) -> Sequence[RejectedMessage]:
        """What was put aside because it is no fact, oldest first. It stays until it is offered again.

        Raises:
            EventStreamError: The broker is away.
        """
        ...

    async def offer_again(self, message_id: UUID) -> bool:
        """Deliver something anew that was put aside, to its group or to all, and put it aside no longer.

        Use it when a version runs that can read it: what still is no fact is put aside again.

        Returns:
            False when nothing of that id is put aside.

        Raises:
            EventStreamError: The broker is away, or takes nothing.
        """
        ...

    async def shortcomings(self) -> Sequence[str]:
        """What about the broker's settings weakens the promise that published facts survive its loss; for people.

        Empty when nothing does, or when the broker does not tell.

        Raises:
            EventStreamError: The broker is away.
        """
        ...
