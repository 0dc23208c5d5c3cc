"""Facts as they travel through a broker: one JSON object each, its keys those of `EventEnvelope`.

The payload stays the text that it is in the log, so that what arrives is what was written, character for character.
"""

from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import NamedTuple
from uuid import UUID

import orjson
from pydantic import TypeAdapter, ValidationError

from fireside.ports.event_stream import EventEnvelope

_ENVELOPE = TypeAdapter(EventEnvelope)
_LARGEST_COUNT = 2**63 - 1


class NotAnEnvelopeError(ValueError):
    """A message is no fact; says why."""


def encode(event: EventEnvelope) -> bytes:
    """One line of JSON in UTF-8, without a line break."""
    return orjson.dumps(event, default=_plain)


def _plain(value: object) -> str:
    """An id as PostgreSQL's driver gives it, in a class of its own."""
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(f"a fact holds no {type(value).__name__}")


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
        event = _ENVELOPE.validate_json(body, strict=True)
        payload = orjson.loads(event.payload)
    except ValidationError as error:
        raise NotAnEnvelopeError(_reason(error)) from None  # the error itself would show the message
    except ValueError as error:
        raise NotAnEnvelopeError(f"payload: {error}") from None
    if event.occurred_at.tzinfo is None:
        raise NotAnEnvelopeError("occurred_at names no time zone")
    if max(event.sequence, event.aggregate_version) > _LARGEST_COUNT:
        raise NotAnEnvelopeError("sequence or aggregate_version is too large to be stored")
    if not isinstance(payload, dict):
        raise NotAnEnvelopeError("payload is no JSON object")
    return event


def _reason(error: ValidationError) -> str:
    """What is wrong first, without what the message says."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    return ": ".join((*map(str, first["loc"]), first["msg"]))
