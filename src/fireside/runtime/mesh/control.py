"""What nodes of Fireside tell each other about calls in progress, as events that Moleculer's own nodes ignore."""

import msgspec

CANCEL = "$fireside.cancel"
"""The caller of a call or stream no longer wants it."""
TAKEN = "$fireside.taken"
"""The consumer of a stream has taken so many of its items."""


class CallNote(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is told.

    Attributes:
        id: The request.
        count: Items taken since the stream began.
    """

    id: str
    count: int = 0


def read_note(data: msgspec.Raw) -> CallNote:
    """The note that an event carries.

    Raises:
        msgspec.DecodeError: It carries something else.
    """
    return msgspec.json.decode(data, type=CallNote)
