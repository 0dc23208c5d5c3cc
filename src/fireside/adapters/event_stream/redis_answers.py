"""What Redis answers about a stream, read."""

from datetime import UTC, datetime
from typing import Any, cast

Entry = tuple[bytes, dict[bytes, bytes] | None]
"""The id of an entry, and its fields; None when somebody deleted it."""


def entries_in(answer: Any) -> list[Entry]:
    """The entries of the only stream in an answer, whichever version of the protocol it came in."""
    if not answer:
        return []
    if isinstance(answer, dict):
        streams = cast(dict[bytes, Any], answer)
        return next(iter(streams.values()))
    return answer[0][1]


def moment_of(entry: bytes) -> datetime:
    """When an entry was made: its id begins with that, in milliseconds."""
    return datetime.fromtimestamp(int(entry.partition(b"-")[0]) / 1000, UTC)


def text(value: str | bytes) -> str:
    """A name or a value, which a client gives as bytes or as text."""
    return value.decode() if isinstance(value, bytes) else value
