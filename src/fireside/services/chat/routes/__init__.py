"""`/api/v1/conversations`, `/api/v1/messages` and `/api/v1/ws`."""

from fastapi import APIRouter

from fireside.services.chat.routes import conversations, messages, socket
from fireside.services.chat.settings import ChatSettings


def routes(settings: ChatSettings) -> APIRouter:
    """The routes of chat."""
    routes = APIRouter(prefix="/api/v1")
    routes.include_router(conversations.routes())
    routes.include_router(messages.routes(keep_alive_s=settings.keep_alive_s))
    routes.include_router(socket.routes())
    return routes
