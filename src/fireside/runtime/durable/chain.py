"""The hash that ties every entry of an event log to the one before it."""

from hashlib import sha256

import orjson

from fireside.ports.event_stream import EventEnvelope

FIRST_HASH = "0" * 64
"""What the first entry of a log names as the hash before it."""


def entry_hash(entry: EventEnvelope, previous: str) -> str:
    """SHA-256 over the previous hash and the entry, in hexadecimal.

    The entry counts as JSON with sorted keys and no spaces, its payload as the text that is stored, so that one
    changed character anywhere gives another hash.
    """
    record = orjson.dumps(
        {
            "id": str(entry.id),
            "topic": entry.topic,
            "source": entry.source,
            "sequence": entry.sequence,
            "aggregate_id": str(entry.aggregate_id),
            "aggregate_version": entry.aggregate_version,
            "occurred_at": entry.occurred_at.isoformat(timespec="microseconds"),
            "actor_id": None if entry.actor_id is None else str(entry.actor_id),
            "request_id": entry.request_id,
            "payload": entry.payload,
        },
        option=orjson.OPT_SORT_KEYS,
    )
    return sha256(previous.encode() + b"\n" + record).hexdigest()
