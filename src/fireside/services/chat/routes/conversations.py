"""`/api/v1/conversations`."""

from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from fireside.contracts import chat
from fireside.contracts.base import Action
from fireside.contracts.conversation import ConversationView
from fireside.contracts.permissions import route_access
from fireside.core.errors import InvalidInputError, TooLargeError
from fireside.core.ids import ConversationId
from fireside.runtime.context import Context

Words = Annotated[str, Query(max_length=500)]
Limit = Annotated[int, Query(ge=1, le=100)]
Cursor = Annotated[str | None, Query(max_length=500)]

_IMPORT_BODY = {
    "requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}},
}


def routes() -> APIRouter:
    """The routes of conversations."""
    routes = APIRouter(prefix="/conversations", tags=["Conversations"])
    one = "/{conversation_id}"
    routes.post("", status_code=201, openapi_extra=_access(chat.CREATE))(create_conversation)
    routes.get("", openapi_extra=_access(chat.LIST))(list_conversations)
    routes.post("/import", status_code=201, openapi_extra={**_access(chat.IMPORT), **_IMPORT_BODY})(import_conversation)
    routes.get(one, openapi_extra=_access(chat.GET))(get_conversation)
    routes.patch(one, openapi_extra=_access(chat.PATCH))(patch_conversation)
    routes.delete(one, status_code=204, openapi_extra=_access(chat.DELETE))(delete_conversation)
    routes.post(f"{one}/restore", openapi_extra=_access(chat.RESTORE))(restore_conversation)
    routes.get(f"{one}/messages", openapi_extra=_access(chat.LIST_MESSAGES))(list_messages)
    routes.get(f"{one}/export", openapi_extra=_access(chat.EXPORT))(export_conversation)
    return routes


def caller(request: Request) -> Context:
    """Who asks, as the gateway established."""
    context: Context = request.state.context
    return context


async def create_conversation(request: Request, body: chat.CreateConversation) -> ConversationView:
    """Begin a conversation."""
    return await caller(request).call(chat.CREATE, body)


async def list_conversations(
    request: Request, wanted: Annotated[chat.ListConversations, Query()]
) -> chat.Conversations:
    """Your conversations, pinned ones first, then those used last; with `query` those that hold its words."""
    return await caller(request).call(chat.LIST, wanted)


async def import_conversation(request: Request) -> ConversationView:
    """Make a conversation of a json export."""
    try:
        content = (await request.body()).decode()
    except UnicodeDecodeError as error:
        raise InvalidInputError("the file is not UTF-8 text") from error
    if len(content) > chat.LONGEST_IMPORT_CHARS:
        raise TooLargeError(f"the file is longer than {chat.LONGEST_IMPORT_CHARS} characters")
    return await caller(request).call(chat.IMPORT, chat.ImportConversation(content=content))


async def get_conversation(request: Request, conversation_id: ConversationId) -> ConversationView:
    """One conversation."""
    return await caller(request).call(chat.GET, chat.ConversationRef(conversation_id=conversation_id))


async def patch_conversation(
    request: Request, conversation_id: ConversationId, changes: chat.ConversationChanges
) -> ConversationView:
    """Rename, pin, archive, tag, choose the branch shown or the ways of answering; what is left out stays."""
    patch = chat.PatchConversation(conversation_id=conversation_id, **changes.model_dump())
    return await caller(request).call(chat.PATCH, patch)


async def delete_conversation(request: Request, conversation_id: ConversationId) -> None:
    """Delete a conversation; it can be restored for a time."""
    await caller(request).call(chat.DELETE, chat.ConversationRef(conversation_id=conversation_id))


async def restore_conversation(request: Request, conversation_id: ConversationId) -> ConversationView:
    """Bring a deleted conversation back."""
    return await caller(request).call(chat.RESTORE, chat.ConversationRef(conversation_id=conversation_id))


async def list_messages(
    request: Request, conversation_id: ConversationId, limit: Limit = 20, cursor: Cursor = None
) -> chat.Messages:
    """The messages of a conversation in the order they came, all branches; `parent_id` makes them a tree."""
    wanted = chat.ListMessages(conversation_id=conversation_id, limit=limit, cursor=cursor)
    return await caller(request).call(chat.LIST_MESSAGES, wanted)


async def export_conversation(
    request: Request,
    conversation_id: ConversationId,
    file_format: Annotated[chat.ExportFormat, Query(alias="format")] = "md",
) -> Response:
    """A conversation as a file: json holds everything and can be imported, md and html are for reading."""
    wanted = chat.ExportConversation(conversation_id=conversation_id, format=file_format)
    file = await caller(request).call(chat.EXPORT, wanted)
    headers = {"content-disposition": f"attachment; filename*=UTF-8''{quote(file.name)}"}
    return Response(file.content, headers=headers, media_type=f"{file.media_type}; charset=utf-8")


def _access(action: Action[Any, Any]) -> dict[str, str]:
    return route_access(action.access)
