"""Anthropic's own API, and whoever speaks it: OpenAI's chat completions are put into it, and its replies put back."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson

from fireside.adapters.language_model.anthropic_wire import (
    StreamTranslator,
    completion,
    error_body,
    messages_request,
)
from fireside.adapters.language_model.model_server import (
    COMPLETIONS,
    Endpoint,
    ModelServer,
    Requested,
    as_reply,
    chunks_of,
    whole,
)
from fireside.adapters.language_model.wire import Wire
from fireside.core.errors import InvalidInputError, UpstreamError
from fireside.core.openai_wire import DataCutter, json_object
from fireside.ports.language_model import Heard, RawReply

_VERSION = "2023-06-01"
_OVERLOADED = 529


class AnthropicServer(ModelServer):
    """A server that speaks Anthropic's messages."""

    @asynccontextmanager
    async def forward(self, path: str, body: bytes, heard: Heard | None = None) -> AsyncGenerator[RawReply, None]:
        """Have a chat completion answered.

        Raises:
            InvalidInputError: The request is no chat completion, or asks for what Anthropic does not offer.
        """
        del heard
        if path != COMPLETIONS:
            raise InvalidInputError("this model answers chats alone")
        asked = _parsed(body, InvalidInputError("the body is not a JSON object"))
        sent = _request(asked)
        async with Requested(self, "POST", "/v1/messages", sent, _unread) as response:
            if response.status == 200 and asked.get("stream"):
                include_usage = bool(json_object(asked.get("stream_options")).get("include_usage"))
                chunks = _streamed(response, StreamTranslator(include_usage=include_usage))
                yield RawReply(status=200, media_type="text/event-stream", chunks=chunks)
                return
            reply = as_reply(response)
            yield (
                RawReply(200, "application/json", _translated(reply)) if reply.status == 200 else await _refused(reply)
            )

    def _address(self, endpoint: Endpoint, path: str) -> tuple[str, dict[str, str]]:
        return endpoint.base_url + path, {"x-api-key": endpoint.api_key, "anthropic-version": _VERSION}


def _request(asked: dict[str, Any]) -> bytes:
    """The request in Anthropic's shape.

    Raises:
        InvalidInputError: It is no chat completion, or asks for what Anthropic does not offer.
    """
    try:
        return orjson.dumps(messages_request(asked))
    except (AttributeError, KeyError, TypeError, ValueError) as error:  # it comes unread from the client
        raise InvalidInputError(f"the request is no chat completion: {error}") from error


def _unread(response: Wire) -> Wire:
    return response


async def _translated(reply: RawReply) -> AsyncIterator[bytes]:
    body = _parsed(await whole(reply.chunks), UpstreamError("the model's server sent something that is not JSON"))
    yield orjson.dumps(completion(body))


async def _refused(reply: RawReply) -> RawReply:
    """A refusal in OpenAI's shape; one that is no JSON comes from a proxy, and says what it says with its status."""
    content, media_type = await whole(reply.chunks), reply.media_type
    try:
        content = orjson.dumps(error_body(json_object(orjson.loads(content))))
        media_type = "application/json"
    except orjson.JSONDecodeError:
        pass
    status = 503 if reply.status == _OVERLOADED else reply.status
    return RawReply(status, media_type, _at_once(content), retry_after=reply.retry_after)


async def _at_once(content: bytes) -> AsyncIterator[bytes]:
    yield content


async def _streamed(response: Wire, translator: StreamTranslator) -> AsyncIterator[bytes]:
    cutter, ended = DataCutter(), False
    async for data in chunks_of(response):
        for item in cutter.feed(data):
            event = _parsed(item, UpstreamError("the model's server sent something that is not JSON"))
            ended = ended or event.get("type") == "message_stop"
            for chunk in translator.chunks(event):
                yield b"data: " + orjson.dumps(chunk) + b"\n\n"
    if not ended:
        raise UpstreamError("the model's server broke off in the middle of an answer")
    yield b"data: [DONE]\n\n"


def _parsed(data: bytes, otherwise: InvalidInputError | UpstreamError) -> dict[str, Any]:
    try:
        parsed = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise otherwise from error
    if not isinstance(parsed, dict):
        raise otherwise
    return json_object(parsed)
