"""Chats with a server that speaks Anthropic's messages, as its API documentation shows them."""

from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from aiohttp import web

from fireside.adapters.language_model.anthropic import AnthropicServer
from fireside.adapters.language_model.model_server import COMPLETIONS, Endpoint, whole
from fireside.core.errors import (
    ContextOverflowError,
    FiresideError,
    InvalidInputError,
    KeyRefusedError,
    TooManyRequestsError,
    UnavailableError,
    UpstreamError,
)
from fireside.core.openai_wire import ChunkCutter
from fireside.ports.language_model import Completed, Prompt, PromptMessage, TextDelta
from tests.adapters.upstream import Upstream

PROMPT = Prompt(
    model="claude",
    messages=(PromptMessage("system", "Be brief."), PromptMessage("user", "Hello"), PromptMessage("user", "there")),
    stop=("x",),
)
START = {"id": "msg_1", "model": "claude", "usage": {"input_tokens": 5, "cache_read_input_tokens": 20}}
WEATHER = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {}}


def sent(*events: dict[str, Any]) -> list[bytes]:
    return [f"event: {event['type']}\ndata: ".encode() + orjson.dumps(event) + b"\n\n" for event in events]


def text(*pieces: str) -> list[dict[str, Any]]:
    return [
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *(
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}}
            for piece in pieces
        ),
        {"type": "content_block_stop", "index": 0},
    ]


def end(reason: str) -> list[dict[str, Any]]:
    delta = {"stop_reason": reason, "stop_sequence": None}
    return [{"type": "message_delta", "delta": delta, "usage": {"output_tokens": 7}}, {"type": "message_stop"}]


@pytest.fixture
async def server(upstream: Upstream) -> AsyncIterator[AnthropicServer]:
    async def locate() -> Endpoint:
        return Endpoint(upstream.base_url, "secret")

    server = AnthropicServer(locate, read_timeout_s=5)
    yield server
    await server.close()


async def completed(server: AnthropicServer, **body: Any) -> dict[str, Any]:
    """The reply to a chat completion that is not streamed."""
    messages = [{"role": "user", "content": "Hello"}]
    async with server.forward(COMPLETIONS, orjson.dumps({"model": "claude", "messages": messages} | body)) as reply:
        assert (reply.status, reply.media_type) == (200, "application/json")
        return orjson.loads(await whole(reply.chunks))


def answers(upstream: Upstream, *content: dict[str, Any], stop_reason: str = "end_turn") -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        usage = {"input_tokens": 5, "output_tokens": 7}
        return web.json_response(
            {"id": "msg_1", "model": "claude", "content": content, "stop_reason": stop_reason, "usage": usage}
        )

    upstream.handler = answer


@pytest.mark.requirement("I5")
async def test_a_prompt_is_answered_and_its_tokens_are_counted(upstream: Upstream, server: AnthropicServer) -> None:
    ping = {"type": "ping"}
    upstream.events = sent({"type": "message_start", "message": START}, ping, *text("Good ", "day"), *end("end_turn"))

    items = [item async for item in server.chat(PROMPT)]

    assert items == [
        TextDelta("Good "),
        TextDelta("day"),
        Completed("stop", prompt_tokens=25, completion_tokens=7, cached_tokens=20),
    ]
    assert upstream.paths == ["/v1/messages"]
    assert (upstream.headers[0]["x-api-key"], upstream.headers[0]["anthropic-version"]) == ("secret", "2023-06-01")
    body = upstream.bodies[0]
    assert body["system"] == "Be brief."
    assert body["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "Hello"}, {"type": "text", "text": "there"}]}
    ]
    assert body["stop_sequences"] == ["x"]
    assert int(str(body["max_tokens"])) > 0


async def test_tools_images_and_a_schema_are_passed_on(upstream: Upstream, server: AnthropicServer) -> None:
    answers(upstream, {"type": "text", "text": "{}"})
    call = {"id": "toolu_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Oslo"}'}}
    picture = [
        {"type": "image_url", "image_url": {"url": url}} for url in ("data:image/png;base64,QUJD", "https://x/y")
    ]
    parameters = {"type": "object", "properties": {"city": {"type": "string"}}}

    await completed(
        server,
        messages=[
            {"role": "user", "content": [{"type": "text", "text": "What is this?"}, *picture]},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "toolu_1", "content": "rain"},
        ],
        tools=[{"type": "function", "function": {"name": "weather", "parameters": parameters}}],
        tool_choice={"type": "function", "function": {"name": "weather"}},
        parallel_tool_calls=False,
        response_format={"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}},
        temperature=1.5,
    )

    body = upstream.bodies[0]
    assert body["messages"] == [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What is this?"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "QUJD"}},
                {"type": "image", "source": {"type": "url", "url": "https://x/y"}},
            ],
        },
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Oslo"}}],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": "text", "text": "rain"}]}
            ],
        },
    ]
    assert body["tools"] == [{"name": "weather", "input_schema": parameters}]
    assert body["tool_choice"] == {"type": "tool", "name": "weather", "disable_parallel_tool_use": True}
    assert body["output_config"] == {"format": {"type": "json_schema", "schema": {"type": "object"}}}
    assert body["temperature"] == 1.0


async def test_a_whole_reply_with_tool_calls_comes_in_openais_shape(
    upstream: Upstream, server: AnthropicServer
) -> None:
    answers(
        upstream,
        {"type": "text", "text": "Let me see."},
        WEATHER | {"input": {"city": "Oslo"}},
        stop_reason="tool_use",
    )

    reply = await completed(server)

    [choice] = reply["choices"]
    assert (reply["object"], choice["finish_reason"], choice["message"]["content"]) == (
        "chat.completion",
        "tool_calls",
        "Let me see.",
    )
    [call] = choice["message"]["tool_calls"]
    assert call == {
        "id": "toolu_1",
        "type": "function",
        "function": {"name": "weather", "arguments": '{"city":"Oslo"}'},
    }
    assert reply["usage"]["total_tokens"] == 12


async def test_streamed_tool_calls_come_as_chunks(upstream: Upstream, server: AnthropicServer) -> None:
    pieces = [
        {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": piece}}
        for piece in ('{"city":', '"Oslo"}')
    ]
    opened = {"type": "content_block_start", "index": 1, "content_block": WEATHER}
    upstream.events = sent(
        {"type": "message_start", "message": START}, *text("Well"), opened, *pieces, *end("tool_use")
    )

    chunks = await streamed_choices(server)

    calls = called(chunks)
    assert calls[0]["function"]["name"] == "weather"
    assert "".join(call["function"]["arguments"] for call in calls) == '{"city":"Oslo"}'
    assert {call["index"] for call in calls} == {0}
    assert chunks[-1]["finish_reason"] == "tool_calls"


async def test_a_call_without_arguments_has_an_empty_object(upstream: Upstream, server: AnthropicServer) -> None:
    nothing = {"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": ""}}
    both = [
        event
        for index, pieces in enumerate([[nothing], []])
        for event in (
            {"type": "content_block_start", "index": index, "content_block": WEATHER},
            *pieces,
            {"type": "content_block_stop", "index": index},
        )
    ]
    upstream.events = sent({"type": "message_start", "message": START}, *both, *text("Well"), *end("tool_use"))

    calls = called(await streamed_choices(server))

    assert ["".join(call["function"]["arguments"] for call in calls if call["index"] == n) for n in (0, 1)] == [
        "{}"
    ] * 2


async def streamed_choices(server: AnthropicServer) -> list[dict[str, Any]]:
    """The choices of the chunks of a streamed reply."""
    asked = {"model": "claude", "messages": [{"role": "user", "content": "?"}], "stream": True}
    async with server.forward(COMPLETIONS, orjson.dumps(asked)) as reply:
        raw = await whole(reply.chunks)
    assert reply.media_type == "text/event-stream"
    assert raw.endswith(b"data: [DONE]\n\n")
    return [chunk["choices"][0] for chunk in ChunkCutter().feed(raw)]


def called(choices: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The pieces of tool calls among them."""
    return [choice["delta"]["tool_calls"][0] for choice in choices if "tool_calls" in choice["delta"]]


@pytest.mark.parametrize(
    ("status", "kind", "expected"),
    [
        (400, "invalid_request_error", InvalidInputError),
        (429, "rate_limit_error", TooManyRequestsError),
        (500, "api_error", UpstreamError),
        (529, "overloaded_error", UnavailableError),
    ],
)
async def test_a_refusal_keeps_its_meaning(
    upstream: Upstream, server: AnthropicServer, status: int, kind: str, expected: type[FiresideError]
) -> None:
    async def refuse(request: web.Request) -> web.StreamResponse:
        body = {"type": "error", "error": {"type": kind, "message": "because of this"}}
        return web.json_response(body, status=status, headers={"retry-after": "7"})

    upstream.handler = refuse

    with pytest.raises(FiresideError, match="because of this") as caught:
        await anext(server.chat(PROMPT))

    assert type(caught.value) is expected
    if status == 429:
        assert caught.value.details["retry_after_s"] == 7


@pytest.mark.parametrize(
    ("status", "expected"), [(413, InvalidInputError), (429, TooManyRequestsError), (502, UpstreamError)]
)
async def test_a_refusal_in_a_page_of_a_proxy_keeps_its_status(
    upstream: Upstream, server: AnthropicServer, status: int, expected: type[FiresideError]
) -> None:
    async def refuse(request: web.Request) -> web.StreamResponse:
        page = "<html>not now</html>"
        return web.Response(text=page, content_type="text/html", status=status, headers={"retry-after": "7"})

    upstream.handler = refuse

    with pytest.raises(FiresideError) as caught:
        await anext(server.chat(PROMPT))
    async with server.forward("/v1/chat/completions", b'{"messages": []}') as reply:
        content = b"".join([data async for data in reply.chunks])

    assert type(caught.value) is expected
    assert (reply.status, reply.retry_after, reply.media_type) == (status, "7", "text/html; charset=utf-8")
    assert content == b"<html>not now</html>"


async def test_a_prompt_that_is_too_long_is_told_apart(upstream: Upstream, server: AnthropicServer) -> None:
    async def refuse(request: web.Request) -> web.StreamResponse:
        error = {"type": "invalid_request_error", "message": "prompt is too long: 210000 tokens > 200000 maximum"}
        return web.json_response({"type": "error", "error": error}, status=400)

    upstream.handler = refuse

    with pytest.raises(ContextOverflowError):
        await anext(server.chat(PROMPT))


@pytest.mark.parametrize(
    ("events", "words"),
    [
        ([{"type": "message_start", "message": START}, *text("half")], "broke off"),
        ([{"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}], "Overloaded"),
    ],
)
async def test_half_an_answer_is_an_error(
    upstream: Upstream, server: AnthropicServer, events: list[dict[str, Any]], words: str
) -> None:
    upstream.events = sent(*events)

    with pytest.raises(UpstreamError, match=words):
        async for _ in server.chat(PROMPT):
            pass


@pytest.mark.parametrize(
    "body", [{"n": 2}, {"logprobs": True}, {"messages": [{"role": "user", "content": [{"type": "x"}]}]}]
)
async def test_what_anthropic_does_not_offer_is_refused_and_not_left_out(
    server: AnthropicServer, body: dict[str, Any]
) -> None:
    with pytest.raises(InvalidInputError):
        await completed(server, **body)


@pytest.mark.parametrize(
    "body",
    [
        {"messages": "hello"},
        {"messages": ["hi"]},
        {"messages": [{"role": "user", "content": ["hello"]}]},
        {"messages": [{"role": "system", "content": ["hello"]}]},
        {"messages": [{"role": "user", "content": 7}]},
        {"messages": [], "temperature": "hot"},
        {"messages": [], "tools": 7},
    ],
)
async def test_a_request_of_another_shape_is_the_callers_mistake(
    upstream: Upstream, server: AnthropicServer, body: dict[str, Any]
) -> None:
    with pytest.raises(InvalidInputError, match="no chat completion"):
        async with server.forward("/v1/chat/completions", orjson.dumps(body)):
            pass

    assert not upstream.bodies


async def test_other_requests_than_chats_are_refused(server: AnthropicServer) -> None:
    with pytest.raises(InvalidInputError):
        async with server.forward("/v1/embeddings", b"{}"):
            pass


async def test_a_refused_key_is_told_without_the_words_of_the_server(
    upstream: Upstream, server: AnthropicServer
) -> None:
    async def refuse(request: web.Request) -> web.StreamResponse:
        return web.json_response({"error": {"message": "invalid x-api-key: sk-secret"}}, status=401)

    upstream.handler = refuse

    with pytest.raises(KeyRefusedError, match=r"refuses the key \(401\)$"):
        async for _ in server.chat(PROMPT):
            pass
