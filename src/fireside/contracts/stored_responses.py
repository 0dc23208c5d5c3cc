"""What chat keeps for clients of OpenAI's Responses API: each answer with the input it was asked with, for a time.

A response belongs to the user who asked; an id that is someone else's, or nobody's, is `not_found`.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from fireside.contracts.base import Action, Contract, Nothing
from fireside.contracts.permissions import MODELS_USE


class ResponseRef(Contract):
    """A response, by id."""

    response_id: UUID


class StoredResponse(Contract):
    """A response as its client got it, and the items of its input, in the shapes of the Responses API."""

    id: UUID
    previous_id: UUID | None = None
    created_at: datetime
    response: dict[str, Any]
    input: tuple[dict[str, Any], ...] = ()


class ResponseThread(Contract):
    """A response and those it goes on from, oldest first; it begins after what was deleted or is too old."""

    items: tuple[StoredResponse, ...]


KEEP = Action("chat.responses.keep", StoredResponse, Nothing, access=MODELS_USE)
GET = Action("chat.responses.get", ResponseRef, StoredResponse, access=MODELS_USE, idempotent=True)
THREAD = Action("chat.responses.thread", ResponseRef, ResponseThread, access=MODELS_USE, idempotent=True)
DELETE = Action("chat.responses.delete", ResponseRef, Nothing, access=MODELS_USE)
