"""A fact as a store keeps it that is not the database of its service, until it stands in the service's log."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from fireside.core.ids import EventId, UserId


@dataclass(frozen=True, slots=True)
class StatedFact:
    """A fact that a store keeps until it stands in the log.

    Attributes:
        id: The same however often it is read.
        topic: What kind of fact.
        aggregate_id: The object whose history it belongs to.
        occurred_at: When it was stated.
        actor_id: The user who caused it; None when no user did.
        request_id: The request that caused it; empty when none did.
        payload: The fact itself, as a JSON object.
    """

    id: EventId
    topic: str
    aggregate_id: UUID
    occurred_at: datetime
    actor_id: UserId | None
    request_id: str
    payload: str
