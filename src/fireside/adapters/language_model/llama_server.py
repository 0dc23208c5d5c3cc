"""llama.cpp's own server, in the embedded engine and elsewhere.

Whether somebody still waits for an answer in one piece it looks only when nothing has happened for a second; while it
serves anybody else, it writes such an answer to its end whoever has left, and the place is taken meanwhile. A stream
stops with the first piece that cannot be sent. So answers are asked for as streams and put together here, but for those
with tools and probabilities, which it does not stream. Can go when a release of llama.cpp looks after whole answers.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson

from fireside.adapters.language_model.gathering import GatheredReply
from fireside.adapters.language_model.openai_compatible import OpenAICompatibleServer
from fireside.core.openai_wire import ChunkCutter, json_object
from fireside.ports.language_model import Heard, RawReply

_GENERATING = frozenset({"/v1/chat/completions", "/v1/completions"})


class LlamaServer(OpenAICompatibleServer):
    """A server of OpenAI's dialect that frees its place as soon as whoever asked has left."""

    @asynccontextmanager
    async def forward(self, path: str, body: bytes, heard: Heard | None = None) -> AsyncGenerator[RawReply, None]:
        """Pass a request through; leaving the context stops the engine, also for an answer in one piece."""
        wish = _whole_answer(body) if path in _GENERATING else None
        if wish is None:
            async with super().forward(path, body) as reply:
                yield reply
            return
        streamed = orjson.dumps(wish | {"stream": True, "stream_options": {"include_usage": True}})
        async with super().forward(path, streamed) as reply:
            if reply.status != 200:
                yield reply
                return
            answers = wish.get("n")
            whole = GatheredReply(answers=answers if isinstance(answers, int) else 1)
            yield RawReply(reply.status, "application/json", _gathered(_told(reply.chunks, heard), whole))


def _whole_answer(body: bytes) -> dict[str, Any] | None:
    """The request when it asks for an answer in one piece that the engine could also stream; else None."""
    try:
        wish = json_object(orjson.loads(body))
    except orjson.JSONDecodeError:
        return None
    streams_not = wish.get("tools") and wish.get("logprobs")
    return wish if wish and not wish.get("stream") and not streams_not else None


async def _told(chunks: AsyncIterator[bytes], heard: Heard | None) -> AsyncIterator[bytes]:
    async for data in chunks:
        if heard is not None:
            heard(data)
        yield data


async def _gathered(chunks: AsyncIterator[bytes], whole: GatheredReply) -> AsyncIterator[bytes]:
    """The whole reply as one piece.

    Raises:
        UpstreamError: The engine broke off, or sent an error.
    """
    cutter = ChunkCutter()
    async for data in chunks:
        for chunk in cutter.feed(data):
            whole.add(chunk)
    yield orjson.dumps(whole.body())
