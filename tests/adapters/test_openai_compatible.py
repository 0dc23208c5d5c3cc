"""A server of models that behaves badly: each fault becomes the error that says what to do."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import count

import pytest
from aiohttp import web

from fireside.adapters.language_model.engine_server import EngineServer
from fireside.adapters.language_model.model_server import Endpoint
from fireside.adapters.language_model.openai_compatible import (
    AZURE,
    GEMINI,
    OPENAI,
    OpenAICompatibleServer,
    Variant,
)
from fireside.core.errors import (
    ContextOverflowError,
    FiresideError,
    InvalidInputError,
    ModelGoneError,
    TooManyRequestsError,
    UnavailableError,
    UpstreamError,
)
from fireside.ports.language_model import Completed, Prompt, PromptMessage, TextDelta
from tests.adapters.upstream import Upstream

PROMPT = Prompt(model="m", messages=(PromptMessage("user", "hello"),), stop=("x",), max_tokens=5)


@pytest.fixture
async def server(upstream: Upstream) -> AsyncIterator[OpenAICompatibleServer]:
    async def locate() -> Endpoint:
        return Endpoint(upstream.base_url, "secret")

    server = OpenAICompatibleServer(locate, read_timeout_s=0.5)
    yield server
    await server.close()


async def failure_of(server: OpenAICompatibleServer) -> FiresideError:
    with pytest.raises(FiresideError) as caught:
        async for _ in server.chat(PROMPT):
            pass
    return caught.value


async def test_events_cut_anywhere_by_the_network_are_put_together(
    upstream: Upstream, server: OpenAICompatibleServer
) -> None:
    upstream.events = [
        b'data: {"choices":[{"delta":{"role":"assistant"}}]}\n\nda',
        b'ta: {"choices":[{"delta":{"content":"gr\xc3',
        b'\xbcn"}}]}\r\n\r\n: comment\n\ndata: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n',
        b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,'
        b'"prompt_tokens_details":{"cached_tokens":1}}}\n\ndata: [DONE]\n\n',
    ]

    items = [item async for item in server.chat(PROMPT)]

    assert items == [TextDelta("grün"), Completed("stop", prompt_tokens=3, completion_tokens=2, cached_tokens=1)]
    assert upstream.bodies[0]["stop"] == ["x"]
    assert "temperature" not in upstream.bodies[0]
    assert upstream.headers[0]["Authorization"] == "Bearer secret"


async def test_content_in_parts_is_joined_and_a_refusal_is_text(
    upstream: Upstream, server: OpenAICompatibleServer
) -> None:
    thought = b'{"type":"thinking","thinking":[{"type":"text","text":"Hm."}]}'
    upstream.events = [
        b'data: {"choices":[{"delta":{"content":[' + thought + b"]}}]}\n\n",
        b'data: {"choices":[{"delta":{"content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}}]}\n\n',
        b'data: {"choices":[{"delta":{"refusal":"no"}}]}\n\n',
        b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n',
    ]

    items = [item async for item in server.chat(PROMPT)]

    assert items == [TextDelta("ab"), TextDelta("no"), Completed("stop")]


@pytest.mark.parametrize(
    ("events", "words"),
    [
        ([b'data: {"choices":[{"delta":{"content":"half"}}]}\n\n'], "broke off"),
        ([b"data: {not json}\n\n"], "not JSON"),
        ([b'data: {"error":{"message":"out of memory"}}\n\n'], "out of memory"),
        ([b'data: {"error":"plain words"}\n\n'], "plain words"),
    ],
)
async def test_half_an_answer_is_an_error_and_not_an_answer(
    upstream: Upstream, server: OpenAICompatibleServer, events: list[bytes], words: str
) -> None:
    upstream.events = events

    error = await failure_of(server)

    assert isinstance(error, UpstreamError)
    assert words in error.message


async def test_an_error_of_null_in_a_chunk_is_none(upstream: Upstream, server: OpenAICompatibleServer) -> None:
    upstream.events = [b'data: {"error":null,"choices":[{"delta":{"content":"x"},"finish_reason":"stop"}]}\n\n']

    assert await anext(server.chat(PROMPT)) == TextDelta("x")


@pytest.mark.parametrize("hang_ups", [1, 2])
async def test_a_server_that_closed_a_kept_connection_is_asked_once_more(
    upstream: Upstream, server: OpenAICompatibleServer, hang_ups: int
) -> None:
    async def hang_up(request: web.Request) -> web.StreamResponse:
        if 1 < len(upstream.bodies) <= 1 + hang_ups:
            assert request.transport is not None
            request.transport.close()
        return await upstream.answer(request)

    upstream.handler = hang_up
    upstream.events = [b'data: {"choices":[{"delta":{"content":"x"},"finish_reason":"stop"}]}\n\n']
    assert len([item async for item in server.chat(PROMPT)]) == 2  # its connection is kept

    if hang_ups == 1:
        assert await anext(server.chat(PROMPT)) == TextDelta("x")
    else:
        assert isinstance(await failure_of(server), UnavailableError)
    assert len(upstream.bodies) == 3


async def test_a_server_that_hung_up_over_a_request_on_a_new_connection_is_not_asked_twice(
    upstream: Upstream, server: OpenAICompatibleServer
) -> None:
    async def hang_up(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    upstream.handler = hang_up

    assert isinstance(await failure_of(server), UnavailableError)
    assert len(upstream.bodies) == 1


@pytest.mark.parametrize("kind", [OpenAICompatibleServer, EngineServer])
async def test_an_engine_that_crashed_is_asked_once_more_at_its_new_address(kind: type[OpenAICompatibleServer]) -> None:
    asked: list[bytes] = []
    looks = count(1 if kind is OpenAICompatibleServer else -3)  # the crash of an engine is noticed a moment later

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        if len(asked) == 1:
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
            return
        await reader.readexactly(900_000)
        answer = b'data: {"choices":[{"delta":{"content":"x"},"finish_reason":"stop"}]}\n\n'
        writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: text/event-stream\r\n\r\n" + answer)
        writer.close()

    async with (
        await asyncio.start_server(serve, "127.0.0.1", 0) as before,
        await asyncio.start_server(serve, "127.0.0.1", 0) as after,
    ):

        async def locate() -> Endpoint:
            listener = after if asked and next(looks) > 0 else before
            return Endpoint(f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}")

        server = kind(locate)
        long = replace(PROMPT, messages=(PromptMessage("user", "x" * 900_000),))
        first = await anext(server.chat(long))
        await server.close()

    assert first == TextDelta("x")
    assert len(asked) == 2


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, InvalidInputError),
        (404, ModelGoneError),
        (429, TooManyRequestsError),
        (500, UpstreamError),
        (503, UnavailableError),
    ],
)
async def test_a_refusal_keeps_its_meaning_and_its_words(
    upstream: Upstream, server: OpenAICompatibleServer, status: int, expected: type[FiresideError]
) -> None:
    async def refuse(request: web.Request) -> web.StreamResponse:
        body = {"error": {"message": "because of this"}}
        return web.json_response(body, status=status, headers={"retry-after": "7"})

    upstream.handler = refuse

    error = await failure_of(server)

    assert type(error) is expected
    assert "because of this" in error.message
    if status == 429:
        assert error.details["retry_after_s"] == 7


@pytest.mark.parametrize(
    "error",
    [
        {"message": "This model's maximum context length is 8192 tokens.", "code": "context_length_exceeded"},
        {"message": "the request exceeds the available context size, try increasing it", "code": 400},
        {"message": "prompt is too long: 210000 tokens > 200000 maximum", "type": "invalid_request_error"},
    ],
)
async def test_a_prompt_that_is_too_long_for_the_model_is_told_apart(
    upstream: Upstream, server: OpenAICompatibleServer, error: dict[str, object]
) -> None:
    async def refuse(request: web.Request) -> web.StreamResponse:
        return web.json_response({"error": error}, status=400)

    upstream.handler = refuse

    assert isinstance(await failure_of(server), ContextOverflowError)


@pytest.mark.requirement("I5")
@pytest.mark.parametrize(
    ("variant", "path", "header", "value"),
    [
        (OPENAI, "/v1/chat/completions", "Authorization", "Bearer secret"),
        (AZURE, "/openai/v1/chat/completions", "api-key", "secret"),
        (GEMINI, "/v1beta/openai/chat/completions", "Authorization", "Bearer secret"),
    ],
)
async def test_each_provider_is_asked_where_it_keeps_the_api(
    upstream: Upstream, variant: Variant, path: str, header: str, value: str
) -> None:
    async def locate() -> Endpoint:
        return Endpoint(upstream.base_url, "secret")

    upstream.events = [b'data: {"choices":[{"delta":{"content":"x"},"finish_reason":"stop"}]}\n\n']
    server = OpenAICompatibleServer(locate, variant=variant)

    assert await anext(server.chat(PROMPT)) == TextDelta("x")
    assert (upstream.paths, upstream.headers[0][header]) == ([path], value)
    await server.close()


async def test_a_refusal_without_json_names_its_status(upstream: Upstream, server: OpenAICompatibleServer) -> None:
    async def refuse(request: web.Request) -> web.StreamResponse:
        return web.Response(text="<html>", status=502)

    upstream.handler = refuse

    assert "502" in (await failure_of(server)).message
    with pytest.raises(UpstreamError):
        await server.model_names()


async def test_a_server_that_falls_silent_is_given_up(upstream: Upstream, server: OpenAICompatibleServer) -> None:
    async def fall_silent(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b'data: {"choices":[{"delta":{"content":"one"}}]}\n\n')
        while request.transport is not None and not request.transport.is_closing():
            await asyncio.sleep(0.02)
        return response

    upstream.handler = fall_silent

    assert isinstance(await failure_of(server), UpstreamError)


async def test_nobody_there_is_unavailable() -> None:
    async def locate() -> Endpoint:
        return Endpoint("http://127.0.0.1:9")

    server = OpenAICompatibleServer(locate, connect_timeout_s=0.5)

    assert isinstance(await failure_of(server), UnavailableError)
    await server.close()


async def test_bytes_pass_through_unread(upstream: Upstream, server: OpenAICompatibleServer) -> None:
    async def echo(request: web.Request) -> web.StreamResponse:
        return web.Response(body=await request.read(), content_type="application/x-odd", status=418)

    upstream.handler = echo

    async with server.forward("/v1/embeddings", b'{"a":  1}') as reply:
        assert (reply.status, reply.media_type) == (418, "application/x-odd")
        assert b"".join([chunk async for chunk in reply.chunks]) == b'{"a":  1}'


async def test_it_lists_what_the_server_serves(upstream: Upstream, server: OpenAICompatibleServer) -> None:
    async def models(request: web.Request) -> web.StreamResponse:
        return web.json_response({"data": [{"id": "a"}, {"id": "b"}]})

    upstream.handler = models

    assert await server.model_names() == ["a", "b"]


@pytest.mark.requirement("P4", "S7")
@pytest.mark.parametrize("address", ["169.254.169.254", "100.100.100.200"])
async def test_a_name_that_leads_to_a_clouds_metadata_service_is_not_asked(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 80))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_more: found)

    async def locate() -> Endpoint:
        return Endpoint("http://models.example.org")

    server = OpenAICompatibleServer(locate)
    with pytest.raises(UnavailableError, match="ForbiddenAddressError"):
        await server.model_names()
    await server.close()
