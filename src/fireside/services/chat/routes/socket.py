"""`/api/v1/ws`: several answers over one WebSocket, in the same events as everywhere.

A client sends `ask`, `regenerate`, `edit`, `resume` and `stop`, each with a `ref` of its choice. Answers come as their
events, each with `message_id` and `id`; before the first stands `{"type": "accepted", "ref", "message_id"}`. What is
refused comes as an `error` with the `ref`. Closing the socket ends the reading, not the answers.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, WebSocket, WebSocketDisconnect
from pydantic import Field, TypeAdapter, ValidationError

from fireside.contracts import chat
from fireside.contracts.base import Contract
from fireside.contracts.conversation import MessageView, NumberedEvent
from fireside.core.errors import FiresideError, InvalidInputError, TooManyRequestsError
from fireside.core.tasks import Tasks
from fireside.runtime.context import Context
from fireside.runtime.streams import as_frame

_MOST_AT_ONCE = 32
_GONE = (WebSocketDisconnect, RuntimeError)
"""What sending to a client that went away raises; Starlette has no error of its own for a socket it closed."""


class _Frame(Contract):
    ref: str = Field(default="", max_length=200)


class _Ask(_Frame, chat.AskQuestion):
    type: Literal["ask"]
    answer: bool = True


class _Regenerate(_Frame, chat.RegenerateAnswer):
    type: Literal["regenerate"]


class _Edit(_Frame, chat.EditQuestion):
    type: Literal["edit"]


class _Resume(_Frame, chat.FollowAnswer):
    type: Literal["resume"]


class _Stop(_Frame, chat.MessageRef):
    type: Literal["stop"]


_Request = _Ask | _Regenerate | _Edit | _Resume | _Stop
_REQUEST: TypeAdapter[_Request] = TypeAdapter(Annotated[_Request, Field(discriminator="type")])


def routes() -> APIRouter:
    """The route of the WebSocket."""
    routes = APIRouter()
    routes.add_api_websocket_route("/ws", serve)
    return routes


async def serve(websocket: WebSocket) -> None:
    """Serve one WebSocket until its client goes away."""
    await websocket.accept()
    await _Socket(websocket).serve()


class _Socket:
    def __init__(self, websocket: WebSocket) -> None:
        self._websocket = websocket
        self._context: Context = websocket.state.context
        self._sending = asyncio.Lock()
        self._tasks = Tasks()

    async def serve(self) -> None:
        try:
            while True:
                self._take(await self._websocket.receive_text())
        except (WebSocketDisconnect, KeyError):  # KeyError: a binary frame, which nothing here understands
            pass
        finally:
            await self._tasks.end()

    def _take(self, text: str) -> None:
        self._tasks.run(self._handle(text, busy=len(self._tasks) >= _MOST_AT_ONCE))

    async def _handle(self, text: str, *, busy: bool) -> None:
        ref = ""
        try:
            request = _parsed(text)
            ref = request.ref
            if busy:
                raise TooManyRequestsError(f"more than {_MOST_AT_ONCE} requests at once on one socket")
            await self._carry_out(request)
        except FiresideError as error:
            failure = {"code": error.code, "status": error.status, "title": type(error).__name__}
            with suppress(*_GONE):
                await self._send({"type": "error", "ref": ref, **failure, "detail": error.message})
        except _GONE:
            return

    async def _carry_out(self, request: _Request) -> None:
        context = self._context
        match request:
            case _Stop():
                await self._send_message(request.ref, await context.call(chat.STOP, request))
            case _Ask(answer=False):
                await self._send_message(request.ref, await context.call(chat.ADD_CONTEXT, _without_answer(request)))
            case _Ask():
                await self._forward(request.ref, context.stream(chat.ASK, request))
            case _Regenerate():
                await self._forward(request.ref, context.stream(chat.REGENERATE, request))
            case _Edit():
                await self._forward(request.ref, context.stream(chat.EDIT, request))
            case _Resume():
                await self._forward(request.ref, context.stream(chat.EVENTS, request))

    async def _forward(self, ref: str, events: AsyncGenerator[NumberedEvent, None]) -> None:
        accepted = False
        async with aclosing(events):
            async for item in events:
                if not accepted:
                    await self._send({"type": "accepted", "ref": ref, "message_id": str(item.message_id)})
                    accepted = True
                await self._send_text(as_frame(item))

    async def _send_message(self, ref: str, message: MessageView) -> None:
        await self._send({"type": "message", "ref": ref, "message": message.model_dump(mode="json")})

    async def _send(self, frame: dict[str, Any]) -> None:
        await self._send_text(orjson.dumps(frame).decode())

    async def _send_text(self, text: str) -> None:
        async with self._sending:
            await self._websocket.send_text(text)


def _parsed(text: str) -> _Request:
    try:
        return _REQUEST.validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise InvalidInputError(f"{where}: {first['msg']}" if where else first["msg"]) from error


def _without_answer(request: _Ask) -> chat.AddContext:
    return chat.AddContext(
        conversation_id=request.conversation_id,
        content=request.content,
        id=request.id,
        parent_id=request.parent_id,
    )
