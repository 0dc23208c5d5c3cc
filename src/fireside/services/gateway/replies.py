"""Replies whose bytes are passed on as they come: of a model's server, unread, and of whoever writes an answer."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

import orjson
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from fireside.contracts.inference import ForwardChunk, ForwardHead
from fireside.core.errors import FiresideError, UpstreamError
from fireside.services.gateway import openai_dialect as dialect
from fireside.services.gateway.leaving import UntilLeft

ForwardedItems = AsyncGenerator[ForwardHead | ForwardChunk, None]

_STREAM_HEADERS = ((b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no"))


class JsonReply(Response):
    """A reply of JSON."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Write it down."""
        return orjson.dumps(content)


class StreamedReply(Response):
    """Bytes as they come. Each piece is written before the next is asked for, so a slow client holds up its source.

    The first piece is waited for before anything is sent: an error that comes before it has a status of its own. Later
    ones are told in the stream, by the source. When the client leaves, the source is closed.
    """

    def __init__(self, chunks: AsyncGenerator[bytes, None], media_type: str) -> None:
        """Prepare to send chunks, which are closed at the end."""
        self._chunks, self._media_type = chunks, media_type

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send.

        Raises:
            FiresideError: What the source raised before its first piece; nothing was sent.
        """
        del scope
        with UntilLeft(receive):
            async with aclosing(self._chunks) as chunks:
                first = await anext(chunks, b"")
                await send(_head(200, self._media_type))
                await send({"type": "http.response.body", "body": first, "more_body": True})
                await _send_all(chunks, send)


class ForwardedReply(Response):
    """The reply of a model's server, byte for byte: as a stream when it is one, else in one piece.

    Asked for when the reply is sent, so that one look at whether the client is still there serves all of it.
    """

    def __init__(self, items: ForwardedItems) -> None:
        """Prepare.

        Args:
            items: Head and chunks; closed at the end.
        """
        self._items = items

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send.

        Raises:
            FiresideError: The server refused or is not there; nothing was sent.
        """
        del scope
        with UntilLeft(receive):
            async with aclosing(self._items) as items:
                head = await head_of(items)
                if head.media_type.startswith(dialect.SSE):
                    await send(_head(head.status, head.media_type))
                    await _pass_on(head, items, send)
                    return
                content = await content_of(head, items)
        await send(_whole_head(head.status, head.media_type, len(content)))
        await send({"type": "http.response.body", "body": content})


async def head_of(items: ForwardedItems) -> ForwardHead:
    """How a model's server answered: the first item of a forwarded request.

    Raises:
        UpstreamError: It did not say.
    """
    head = await anext(items, None)
    if not isinstance(head, ForwardHead):
        raise UpstreamError("the model's server answered without a head")
    return head


async def pieces_of(head: ForwardHead, items: ForwardedItems) -> AsyncGenerator[bytes, None]:
    """The bytes that come after the head, as they come.

    Raises:
        FiresideError: They broke off.
    """
    if (passage := head.passage) is not None:
        while data := await passage.read():
            yield data
    async for item in items:
        if isinstance(item, ForwardChunk):
            yield item.data


async def content_of(head: ForwardHead, items: ForwardedItems) -> bytes:
    """Everything that comes after the head."""
    return b"".join([piece async for piece in pieces_of(head, items)])


async def _pass_on(head: ForwardHead, items: ForwardedItems, send: Send) -> None:
    """Send the pieces of a stream as they come; an error that breaks it is its last event."""
    try:
        if (passage := head.passage) is not None:  # what has come is written at once: no task waits for a word
            await passage.pipe(lambda data: send({"type": "http.response.body", "body": data, "more_body": True}))
        await _send_all(pieces_of(head, items), send)
    except FiresideError as error:  # what came before may have ended within a line
        failure = b"\n\n" + dialect.failed_chunk(error) + dialect.DONE
        await send({"type": "http.response.body", "body": failure, "more_body": False})


def _head(status: int, media_type: str) -> Message:
    headers = [(b"content-type", media_type.encode("latin-1")), *_STREAM_HEADERS]
    return {"type": "http.response.start", "status": status, "headers": headers}


def _whole_head(status: int, media_type: str, length: int) -> Message:
    headers = [(b"content-length", b"%d" % length), (b"content-type", media_type.encode("latin-1"))]
    return {"type": "http.response.start", "status": status, "headers": headers}


async def _send_all(chunks: AsyncIterator[bytes], send: Send) -> None:
    async for chunk in chunks:
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})
