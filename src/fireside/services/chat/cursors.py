"""Where a page of a list ended, as text that clients hand back unread."""

import base64
import binascii
import json
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

from fireside.core.ids import ConversationId
from fireside.ports.conversation_records import ConversationKey, ConversationRecord, HitKey, WordHit
from fireside.services.chat.errors import InvalidCursorError

_LARGEST_POSITION = 2**31 - 1


def after_conversation(conversation: ConversationRecord) -> str:
    """The cursor of the page that follows this conversation."""
    return _encoded([int(conversation.pinned), conversation.updated_at.isoformat(), str(conversation.id)])


def conversation_key(cursor: str) -> ConversationKey:
    """The place a cursor of `after_conversation` names.

    Raises:
        InvalidCursorError: It is another text.
    """
    try:
        pinned, updated_at, conversation_id = _decoded(cursor)
        return ConversationKey(bool(pinned), _time(updated_at), ConversationId(UUID(conversation_id)))
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        raise InvalidCursorError(cursor=cursor) from error


def after_hit(hit: WordHit) -> str:
    """The cursor of the page that follows this hit."""
    item_id = hit.message.id if hit.message else hit.conversation.id
    return _encoded([hit.created_at.isoformat(), str(item_id)])


def hit_key(cursor: str) -> HitKey:
    """The place a cursor of `after_hit` names.

    Raises:
        InvalidCursorError: It is another text.
    """
    try:
        created_at, item_id = _decoded(cursor)
        return HitKey(_time(created_at), UUID(item_id))
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        raise InvalidCursorError(cursor=cursor) from error


def after_position(position: int) -> str:
    """The cursor of the page that follows this position."""
    return _encoded([position])


def position_of(cursor: str) -> int:
    """The position a cursor of `after_position` names.

    Raises:
        InvalidCursorError: It is another text.
    """
    try:
        (position,) = _decoded(cursor)
        if not 0 <= int(position) <= _LARGEST_POSITION:
            raise ValueError(f"{position} is no position")
        return int(position)
    except (ValueError, TypeError, OverflowError) as error:
        raise InvalidCursorError(cursor=cursor) from error


def _time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError("a moment needs its time zone")
    return time.astimezone(UTC)


def _encoded(values: list[str | int]) -> str:
    return base64.urlsafe_b64encode(json.dumps(values, separators=(",", ":")).encode()).decode().rstrip("=")


def _decoded(cursor: str) -> list[str]:
    padded = cursor + "=" * (-len(cursor) % 4)
    try:
        values: Any = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except binascii.Error as error:
        raise ValueError(str(error)) from error
    if not isinstance(values, list):
        raise TypeError("not a list")
    return cast("list[str]", values)
