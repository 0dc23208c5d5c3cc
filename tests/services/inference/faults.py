"""Providers that fail in every way that docs/reference/provider-faults.md names."""

import asyncio
from dataclasses import dataclass

from aiohttp import web

from fireside.core.errors import FiresideError, KeyRefusedError, TooManyRequestsError, UpstreamError
from fireside.services.inference.errors import EmptyAnswerError, ModelTooSlowError
from tests.services.inference.provider_house import Handler, event, refusing

FIRST_WORD_S, ANSWER_S = 0.3, 0.6


async def silent(_request: web.Request) -> web.StreamResponse:
    """Takes the request and says nothing."""
    await asyncio.sleep(ANSWER_S * 2)
    return web.Response()


def begun(*pieces: bytes, then: str = "gone", media_type: str = "text/event-stream") -> Handler:
    """Sends these bytes; then it hangs, is gone, or ends as if all were well."""

    async def handle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": media_type})
        await response.prepare(request)
        for piece in pieces:
            await response.write(piece)
            await asyncio.sleep(0.02)
        if then == "hangs":
            await asyncio.sleep(ANSWER_S * 2)
        if then == "gone" and request.transport is not None:
            request.transport.abort()
        return response

    return handle


def sent(content: bytes, media_type: str = "application/json", status: int = 200) -> Handler:
    async def handle(_request: web.Request) -> web.StreamResponse:
        return web.Response(body=content, content_type=media_type, status=status)

    return handle


WORD = event(delta={"content": "half"})
TOO_LONG = refusing(400, code="context_length_exceeded")
EMPTY_STREAM = begun(event(delta={}, finish_reason="stop"), b"data: [DONE]\n\n", then="ends")


@dataclass(frozen=True)
class Fault:
    """A fault before the first word: why the next model answers, and what a client of the dialects is told."""

    name: str
    handler: Handler
    reason: str
    passed: type[FiresideError] | int


BEFORE_THE_FIRST_WORD = [
    Fault("slow to the first byte", silent, "it took too long", ModelTooSlowError),
    Fault("gone before the first byte", begun(then="gone"), "its server failed", UpstreamError),
    Fault("wrong JSON in a stream", begun(b"data: {nonsense\n\n", then="ends"), "its server failed", UpstreamError),
    Fault("a page instead of JSON", sent(b"<html>", "text/html"), "its server failed", UpstreamError),
    Fault("rate limit", refusing(429), "its rate limit was reached", TooManyRequestsError),
    Fault("key refused", refusing(401), "its provider refuses the key", KeyRefusedError),
    Fault("key without rights", refusing(403), "its provider refuses the key", KeyRefusedError),
    Fault("model gone", refusing(404), "its provider does not offer it", 404),
    Fault("status 500", refusing(500), "its server failed", UpstreamError),
    Fault("status 503", refusing(503), "it could not be reached", FiresideError),
    Fault("nothing sent", sent(b""), "its server failed", EmptyAnswerError),
    Fault("context overflow", TOO_LONG, "the question and its documents are too long for it", 400),
]
AFTER_THE_FIRST_WORD = {
    "slow in the middle": (begun(WORD, then="hangs"), ModelTooSlowError),
    "half a stream, then gone": (begun(WORD, then="gone"), UpstreamError),
    "half a stream, then ended as if all were well": (begun(WORD, then="ends"), UpstreamError),
    "wrong JSON in the middle": (begun(WORD, b"data: {nonsense\n\n", then="ends"), UpstreamError),
}
