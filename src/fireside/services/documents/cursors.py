"""Where a page of a list ended, as text that clients hand back unread."""

import base64
import binascii
from uuid import UUID

from fireside.services.documents.errors import InvalidCursorError


def after_id(item_id: UUID) -> str:
    """The cursor of the page that follows this item, in lists that are ordered by id."""
    return _encoded(item_id.bytes)


def id_of(cursor: str) -> UUID:
    """The id that a cursor of `after_id` names.

    Raises:
        InvalidCursorError: It is another text.
    """
    try:
        return UUID(bytes=_decoded(cursor))
    except ValueError as error:
        raise InvalidCursorError(cursor=cursor[:200]) from error


def after_number(number: int) -> str:
    """The cursor of the page that follows this place, in lists that are counted."""
    return _encoded(str(number).encode())


def number_of(cursor: str) -> int:
    """The place that a cursor of `after_number` names.

    Raises:
        InvalidCursorError: It is another text.
    """
    try:
        return int(_decoded(cursor).decode("ascii"))
    except ValueError as error:
        raise InvalidCursorError(cursor=cursor[:200]) from error


def _encoded(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


def _decoded(cursor: str) -> bytes:
    try:
        return base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from error
