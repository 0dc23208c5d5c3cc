"""Facts as they travel through a broker: one JSON object each, its keys those of `EventEnvelope`.

The payload stays the text that it is in the log, so that what arrives is what was written, character for character.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any, NamedTuple
from uuid import UUID

import orjson

from fireside.core.ids import EventId, UserId
from fireside.ports.event_stream import EventEnvelope


class NotAnEnvelopeError(ValueError):
    """A message is no fact; says why."""


def encode(event: EventEnvelope) -> bytes:
    """One line of JSON in UTF-8, without a line break."""
    return orjson.dumps(
        {
            "id": str(event.id),
            "topic": event.topic,
            "source": event.source,
            "sequence": event.sequence,
            "aggregate_id": str(event.aggregate_id),
            "aggregate_version": event.aggregate_version,
            "occurred_at": event.occurred_at.isoformat(),
            "actor_id": None if event.actor_id is None else str(event.actor_id),
            "request_id": event.request_id,
            "payload": event.payload,
        }
    )


class JoinedFacts(NamedTuple):
    """Several facts as one message.

    Attributes:
        id: Follows from the facts.
        topics: Each once, in order of their names.
        body: The facts, one a line.
    """

    id: str
    topics: tuple[str, ...]
    body: bytes


def messages(events: Sequence[EventEnvelope], *, longest_bytes: int) -> Iterator[JoinedFacts]:
    """Facts joined into messages, in order, for a broker that is given several at once.

    Args:
        events: The facts.
        longest_bytes: A message is longer only when a single fact is.
    """
    joined, lines, size = list[EventEnvelope](), list[bytes](), 0
    for event in events:
        line = encode(event)
        if lines and size + len(line) > longest_bytes:
            yield _join(joined, lines)
            joined, lines, size = [], [], 0
        joined.append(event)
        lines.append(line)
        size += len(line) + 1
    if lines:
        yield _join(joined, lines)


def _join(events: Sequence[EventEnvelope], lines: Sequence[bytes]) -> JoinedFacts:
    ids, topics = "".join(str(event.id) for event in events), {event.topic for event in events}
    return JoinedFacts(sha256(ids.encode()).hexdigest(), tuple(sorted(topics)), b"\n".join(lines))


def decode(body: bytes) -> EventEnvelope:
    """The fact that a message holds. Keys that this version does not know are passed over.

    Raises:
        NotAnEnvelopeError: It holds none.
    """
    try:
        return _envelope(orjson.loads(body))
    except KeyError as error:
        raise NotAnEnvelopeError(f"it has no {error}") from error
    except (TypeError, ValueError) as error:
        raise NotAnEnvelopeError(str(error)) from error


def _envelope(fields: dict[str, Any]) -> EventEnvelope:
    occurred_at = datetime.fromisoformat(fields["occurred_at"])
    if occurred_at.tzinfo is None:
        raise NotAnEnvelopeError("occurred_at names no time zone")
    actor_id = fields["actor_id"]
    return EventEnvelope(
        id=EventId(UUID(_text(fields, "id"))),
        topic=_text(fields, "topic"),
        source=_text(fields, "source"),
        sequence=_count(fields, "sequence"),
        aggregate_id=UUID(_text(fields, "aggregate_id")),
        aggregate_version=_count(fields, "aggregate_version"),
        occurred_at=occurred_at,
        actor_id=None if actor_id is None else UserId(UUID(_text(fields, "actor_id"))),
        request_id=_text(fields, "request_id"),
        payload=_object(fields, "payload"),
    )


def _text(fields: dict[str, Any], name: str) -> str:
    value = fields[name]
    if not isinstance(value, str):
        raise NotAnEnvelopeError(f"{name} is no text")
    return value


def _count(fields: dict[str, Any], name: str) -> int:
    value = fields[name]
    if not isinstance(value, int) or isinstance(value, bool):
        raise NotAnEnvelopeError(f"{name} is no whole number")
    return value


def _object(fields: dict[str, Any], name: str) -> str:
    text = _text(fields, name)
    if not isinstance(orjson.loads(text), dict):
        raise NotAnEnvelopeError(f"{name} is no JSON object")
    return text
