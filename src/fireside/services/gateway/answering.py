"""Answers for every dialect: asked of the pipeline or of a model's server, and sent whole or as a stream.

The one place where a dialect meets services. When the client leaves, the work for it is stopped, stream or not.
"""

from collections.abc import AsyncGenerator, Coroutine
from contextlib import aclosing
from typing import Any, ClassVar, Protocol, TypeVar

import orjson
from fastapi import Request
from fastapi.responses import Response

from fireside.contracts import chat, inference
from fireside.contracts.answer import Failed, Final, Token
from fireside.core.errors import FiresideError, UpstreamError, error_from_dict
from fireside.core.openai_wire import refusal
from fireside.runtime.context import Context
from fireside.services.gateway.allowances import note_model
from fireside.services.gateway.completions import (
    Asked,
    ChunkReader,
    Completion,
    CompletionEvent,
    Ended,
    TextPiece,
    gathered,
    located,
)
from fireside.services.gateway.leaving import UntilLeft
from fireside.services.gateway.openai_dialect import PIPELINE_MODEL, PipelineRequest
from fireside.services.gateway.replies import JsonReply, StreamedReply, content_of, head_of, pieces_of
from fireside.services.gateway.request_bodies import read_request

ResultT = TypeVar("ResultT")


class Writer(Protocol):
    """Writes one answer in the shape of a dialect."""

    media_type: ClassVar[str]
    """Of a stream."""

    def begin(self) -> bytes:
        """What comes before the first event."""
        ...

    def write(self, event: CompletionEvent) -> bytes:
        """An event, empty when the dialect has no words for it; after an end nothing follows."""
        ...

    def failed(self, error: FiresideError) -> bytes:
        """The end of a stream that cannot go on."""
        ...

    def whole(self, completion: Completion) -> dict[str, Any]:
        """The answer in one piece."""
        ...


def caller(request: Request) -> Context:
    """The context of whoever asks."""
    context: Context = request.scope["state"]["context"]
    return context


async def answer(request: Request, asked: Asked, writer: Writer) -> Response:
    """Answer a request, in one piece or as a stream."""
    return await send(request, completion_events(request, asked), writer, stream=asked.stream)


async def send(
    request: Request, events: AsyncGenerator[CompletionEvent, None], writer: Writer, *, stream: bool
) -> Response:
    """Send an answer, in one piece or as a stream.

    A failure before the first word has its own status; one that comes later stands in the stream.
    """
    if stream:
        return StreamedReply(_written(events, writer), writer.media_type)
    return JsonReply(writer.whole(await unless_left(request, gathered(events))))


def completion_events(request: Request, asked: Asked) -> AsyncGenerator[CompletionEvent, None]:
    """The events of the answer; closing them stops whoever answers.

    Raises:
        InvalidInputError: The pipeline is asked something that it cannot read.
    """
    note_model(request.scope, asked.model)
    if asked.model != PIPELINE_MODEL:
        return _model_events(caller(request), asked)
    return _pipeline_events(request, read_request(PipelineRequest, asked.body).turns())


async def unless_left(request: Request, work: Coroutine[Any, Any, ResultT]) -> ResultT:
    """Do something for a client as long as it waits for it; its body must have been read.

    Raises:
        ClientLeftError: It did not wait; the work was cancelled.
    """
    with UntilLeft(request.receive):
        return await work


async def forwarded(context: Context, path: str, model: str, body: dict[str, Any]) -> dict[str, Any]:
    """The JSON with which a model's server answers.

    Raises:
        FiresideError: It refused, or is not there.
    """
    request = inference.Forward(path=path, model=model, body=orjson.dumps(body))
    async with aclosing(context.stream(inference.FORWARD, request)) as stream:
        head = await head_of(stream)
        content = await content_of(head, stream)
    if head.status != 200:
        raise refusal(head.status, content)
    try:
        return dict(orjson.loads(content))
    except (ValueError, TypeError) as error:
        raise UpstreamError("the model's server sent something that is no JSON object") from error


async def _first(events: AsyncGenerator[CompletionEvent, None]) -> CompletionEvent:
    first = await anext(events, None)
    if first is None:
        raise UpstreamError("the answer ended without its text")
    return first


async def _written(events: AsyncGenerator[CompletionEvent, None], writer: Writer) -> AsyncGenerator[bytes, None]:
    async with aclosing(events):
        yield writer.begin() + writer.write(await _first(events))
        try:
            async for event in events:
                if data := writer.write(event):
                    yield data
        except FiresideError as error:  # the head is out: an error can only be told inside the stream
            yield writer.failed(error)


async def _model_events(context: Context, asked: Asked) -> AsyncGenerator[CompletionEvent, None]:
    body = asked.body | {"model": asked.model, "stream": True, "stream_options": {"include_usage": True}}
    raw = orjson.dumps(body)
    request = inference.Forward(path=asked.path, model=asked.model, body=raw, priority=asked.priority)
    async with aclosing(context.stream(inference.FORWARD, request)) as stream:
        head, reader = await head_of(stream), ChunkReader()
        if head.status != 200:
            content = await content_of(head, stream)
            raise refusal(head.status, content)
        async for piece in pieces_of(head, stream):
            for event in reader.feed(piece):
                yield event
        yield reader.end()


async def _pipeline_events(request: Request, turns: chat.CompleteTurns) -> AsyncGenerator[CompletionEvent, None]:
    told, site = "", request.scope["state"].get("site") or str(request.base_url).rstrip("/")
    async with aclosing(caller(request).stream(chat.COMPLETE, turns)) as events:
        async for event in events:
            if isinstance(event, Token):
                told += event.text
                yield TextPiece(event.text)
            elif isinstance(event, Final):
                if event.content.startswith(told) and event.content != told:
                    yield TextPiece(event.content[len(told) :])
                sources = tuple(located(source, site) for source in event.sources)
                yield Ended(event.finish_reason, event.usage, sources, event.content)
                return
            elif isinstance(event, Failed):
                message = event.detail or event.title
                raise error_from_dict({"code": event.code, "status": event.status, "message": message})
    raise UpstreamError("the answer ended without its text")
