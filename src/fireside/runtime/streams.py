"""Numbered events as bytes: server-sent events, newline-delimited JSON, WebSocket frames. Knows no web framework.

The three carry the same: an increasing id, the event's type and its fields.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Literal

import orjson

from fireside.contracts.answer import Failed, Token
from fireside.contracts.conversation import NumberedEvent
from fireside.core.tasks import end

StreamFormat = Literal["sse", "ndjson"]
Format = Literal["json"] | StreamFormat

MEDIA_TYPES: dict[Format, str] = {
    "json": "application/json",
    "sse": "text/event-stream",
    "ndjson": "application/x-ndjson",
}
"""The media type of each format."""

_MOST_AHEAD = 16

KEEP_ALIVES: dict[StreamFormat, bytes] = {"sse": b": keep-alive\n\n", "ndjson": b"\n"}
"""What says nothing and shows that the connection lives: a comment, an empty line."""


def preferred_format(accept: str, *, otherwise: Format = "json") -> Format:
    """The format that an `Accept` header asks for; `otherwise` where it names none of them.

    The highest quality wins, among equals the first named; a quality of 0 refuses (RFC 9110, 12.5.1).
    """
    best = otherwise
    best_quality = 0.0
    for entry in accept.split(","):
        name, *parameters = (part.strip().lower() for part in entry.split(";"))
        quality = _quality(parameters)
        for media_format, media_type in MEDIA_TYPES.items():
            if name == media_type and quality > best_quality:
                best, best_quality = media_format, quality
    return best


def server_sent(event_type: str, data: bytes, *, event_id: int | None = None) -> bytes:
    """One server-sent event.

    Args:
        event_type: Its name.
        data: JSON without line breaks.
        event_id: What a client sends back as `Last-Event-ID`; None leaves the last one standing.
    """
    number = b"" if event_id is None else b"id: %d\n" % event_id
    return b"%sevent: %s\ndata: %s\n\n" % (number, event_type.encode(), data)


def as_server_sent(numbered: NumberedEvent) -> bytes:
    """An answer's event as a server-sent event; the type stands beside the data, not in it."""
    event = numbered.event
    if isinstance(event, Token):
        data = orjson.dumps({"text": event.text})
    else:
        data = event.model_dump_json(exclude={"type"}).encode()
    return server_sent(event.type, data, event_id=numbered.id)


def as_line(numbered: NumberedEvent) -> bytes:
    """An answer's event as one line of JSON: `{"id": 7, "type": "token", "text": "..."}`."""
    return b'{"id":%d,%s\n' % (numbered.id, numbered.event.model_dump_json().encode()[1:])


def as_frame(numbered: NumberedEvent) -> str:
    """An answer's event as a WebSocket text frame: a line's fields and the answer's `message_id`."""
    fields = numbered.event.model_dump(mode="json")
    return orjson.dumps({**fields, "message_id": str(numbered.message_id), "id": numbered.id}).decode()


def problem_bytes(failure: Failed, media_format: StreamFormat) -> bytes:
    """An error of the stream itself, not of the answer: without an id, so that the answer can be read on."""
    if media_format == "sse":
        return server_sent("error", failure.model_dump_json(exclude={"type"}).encode())
    return failure.model_dump_json().encode() + b"\n"


RENDERERS: dict[StreamFormat, Callable[[NumberedEvent], bytes]] = {"sse": as_server_sent, "ndjson": as_line}
"""How an event is written in each format."""


async def with_keep_alive(chunks: AsyncIterator[bytes], *, every_s: float, keep_alive: bytes) -> AsyncGenerator[bytes]:
    """The chunks as they come, and `keep_alive` whenever none came for so long.

    Proxies close connections on which nothing moves. Chunks that a slow reader let pile up come joined, and no more are
    fetched than a few. Closing this closes `chunks` too.
    """
    ahead = _ReadAhead(chunks)
    reading = asyncio.create_task(ahead.read())
    try:
        while True:
            if not ahead.waiting and not ahead.ended:
                try:
                    async with asyncio.timeout(every_s):
                        await ahead.arrived()
                except TimeoutError:
                    yield keep_alive
                    continue
            if ahead.waiting:
                yield ahead.take()
            elif ahead.ended:
                await reading
                return
    finally:
        await end(reading)


class _ReadAhead:
    """Fetches chunks in a task of its own, so that waiting for one can end without losing it."""

    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self._chunks = chunks
        self._arrived = asyncio.Event()
        self._has_room = asyncio.Event()
        self.waiting: list[bytes] = []
        self.ended = False

    async def read(self) -> None:
        try:
            async for chunk in self._chunks:
                self.waiting.append(chunk)
                self._arrived.set()
                if len(self.waiting) >= _MOST_AHEAD:
                    self._has_room.clear()
                    await self._has_room.wait()
        finally:
            self.ended = True
            self._arrived.set()

    async def arrived(self) -> None:
        self._arrived.clear()
        await self._arrived.wait()

    def take(self) -> bytes:
        chunk = b"".join(self.waiting)
        self.waiting.clear()
        self._has_room.set()
        return chunk


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
