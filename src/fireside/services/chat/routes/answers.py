"""An answer's events as an HTTP response: JSON when it is finished, or a stream."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from fastapi.responses import JSONResponse, Response, StreamingResponse

from fireside.contracts import chat
from fireside.contracts.answer import Failed
from fireside.contracts.conversation import NumberedEvent
from fireside.core.errors import FiresideError, InvalidInputError, NotFoundError, error_from_dict
from fireside.core.ids import MessageId
from fireside.runtime.context import Context
from fireside.runtime.streams import (
    KEEP_ALIVES,
    MEDIA_TYPES,
    RENDERERS,
    Format,
    StreamFormat,
    preferred_format,
    problem_bytes,
    with_keep_alive,
)

_UNBUFFERED = {"cache-control": "no-cache", "x-accel-buffering": "no"}


class Answers:
    """Makes responses of answers."""

    def __init__(self, *, keep_alive_s: float) -> None:
        self._keep_alive_s = keep_alive_s

    async def respond(
        self,
        context: Context,
        events: AsyncGenerator[NumberedEvent, None],
        *,
        accept: str,
        otherwise: Format = "json",
    ) -> Response:
        """The response to a request for an answer, in the format `accept` asks for, or `otherwise`.

        It begins with the first event, so that what is refused is refused with its own status.
        """
        first = await anext(events, None)
        media_format = preferred_format(accept, otherwise=otherwise)
        if media_format == "json":
            return await _whole(context, events, first)
        headers = {**_UNBUFFERED, **({"x-message-id": str(first.message_id)} if first else {})}
        chunks = with_keep_alive(
            _rendered(events, first, media_format),
            every_s=self._keep_alive_s,
            keep_alive=KEEP_ALIVES[media_format],
        )
        return StreamingResponse(chunks, headers=headers, media_type=MEDIA_TYPES[media_format])


def last_event_id(header: str) -> int:
    """The number in a `Last-Event-ID` header; 0 when it is empty.

    Raises:
        InvalidInputError: It holds something else.
    """
    if not header:
        return 0
    if not (header.isascii() and header.isdigit()):
        raise InvalidInputError(f"Last-Event-ID: {header[:40]!r} is not the id of an event")
    return min(int(header), chat.LARGEST_EVENT_ID)


async def _whole(
    context: Context, events: AsyncGenerator[NumberedEvent, None], first: NumberedEvent | None
) -> JSONResponse:
    if first is None:
        raise NotFoundError("this answer has no such events")
    failure = first.event if isinstance(first.event, Failed) else None
    async with aclosing(events):
        async for item in events:
            failure = item.event if isinstance(item.event, Failed) else failure
    if failure is not None:
        details = {**failure.details, "message_id": str(first.message_id)}
        raise error_from_dict(
            {"code": failure.code, "status": failure.status, "message": failure.detail, "details": details}
        )
    return await _answer(context, first.message_id)


async def _answer(context: Context, message_id: MessageId) -> JSONResponse:
    """A finished answer: the message, with its id under the name that the final event gives it too."""
    message = await context.call(chat.GET_MESSAGE, chat.MessageRef(message_id=message_id))
    return JSONResponse({**message.model_dump(mode="json"), "message_id": str(message.id)})


async def _rendered(
    events: AsyncGenerator[NumberedEvent, None], first: NumberedEvent | None, media_format: StreamFormat
) -> AsyncGenerator[bytes, None]:
    render = RENDERERS[media_format]
    try:
        async with aclosing(events):
            if first is not None:
                yield render(first)
            async for item in events:
                yield render(item)
    except FiresideError as error:  # the head is out: what goes wrong with reading can only be told in the stream
        failure = Failed(code=error.code, title=type(error).__name__, status=error.status, detail=error.message)
        yield problem_bytes(failure, media_format)
