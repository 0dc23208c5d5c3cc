"""Servers that refuse what others take: they get what they know, and all others the very bytes."""

from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from aiohttp import web

from fireside.adapters.language_model.model_server import COMPLETIONS, Endpoint, whole
from fireside.adapters.language_model.openai_compatible import (
    AZURE,
    GEMINI,
    OPENAI,
    OpenAICompatibleServer,
    Variant,
)
from fireside.adapters.language_model.strict_servers import LENIENT, OF_OPENAI, STRICT, Manners, manners_of
from fireside.ports.language_model import Completed, Prompt, PromptMessage, TextDelta
from tests.adapters.upstream import Upstream

KNOWN = {"model", "messages", "max_completion_tokens", "stream", "stream_options", "stop", "seed", "temperature"}
"""What the server of these tests takes, as gpt-5 does."""
ASKED: dict[str, Any] = {"model": "gpt-5", "messages": [{"role": "user", "content": 'what is "max_tokens"?'}]}
OPTIONS = {"top_k": 3, "min_p": 0.1, "typical_p": 0.9, "repeat_last_n": 8, "repeat_penalty": 1.1}
THINKING = {"chat_template_kwargs": {"enable_thinking": False}}


@pytest.fixture
def refusing(upstream: Upstream) -> Upstream:
    async def answer(request: web.Request) -> web.StreamResponse:
        asked = await request.json()
        unknown = [name for name in asked if name not in KNOWN]
        if unknown or asked.get("temperature", 1) != 1:
            text = f"Unsupported parameter: '{(unknown or ['temperature'])[0]}' is not supported with this model."
            return web.json_response({"error": {"message": text, "type": "invalid_request_error"}}, status=400)
        return await upstream.answer(request)

    upstream.events = [b'data: {"choices":[{"delta":{"content":"x"},"finish_reason":"stop"}]}\n\n']
    upstream.handler = answer
    return upstream


@pytest.fixture
async def server(refusing: Upstream, variant: Variant) -> AsyncIterator[OpenAICompatibleServer]:
    async def locate() -> Endpoint:
        return Endpoint(refusing.base_url, "secret")

    server = OpenAICompatibleServer(locate, variant=variant, read_timeout_s=5)
    yield server
    await server.close()


@pytest.mark.parametrize("variant", [Variant(manners=OF_OPENAI), AZURE])
async def test_a_model_that_reasons_answers_the_pipeline(refusing: Upstream, server: OpenAICompatibleServer) -> None:
    prompt = Prompt(model="gpt-5", messages=(PromptMessage("user", "hello"),), max_tokens=5, temperature=0.0)

    items = [item async for item in server.chat(prompt)]

    assert items == [TextDelta("x"), Completed("stop")]
    assert refusing.bodies[0]["max_completion_tokens"] == 5


@pytest.mark.parametrize("variant", [Variant(manners=OF_OPENAI), AZURE])
async def test_a_model_that_reasons_answers_what_clients_of_other_apis_ask(
    refusing: Upstream, server: OpenAICompatibleServer
) -> None:
    body = orjson.dumps(ASKED | OPTIONS | THINKING | {"max_tokens": 5})

    async with server.forward(COMPLETIONS, body) as reply:
        assert (reply.status, await whole(reply.chunks)) == (200, refusing.events[0])
    assert refusing.bodies[0] == ASKED | {"max_completion_tokens": 5}


@pytest.mark.parametrize("manners", [OF_OPENAI, STRICT, LENIENT])
@pytest.mark.parametrize(
    ("path", "body"),
    [
        (COMPLETIONS, orjson.dumps(ASKED).replace(b":", b" : ")),
        (COMPLETIONS, b'{"tools":[{"parameters":{"max_tokens" : {"top_k":1}}}]}'),
        (COMPLETIONS, b'{"max_tokens" : 1, "max_completion_tokens" : 1}'),
        (COMPLETIONS, b'{"max_tokens" : 1'),
        (COMPLETIONS, b'["max_tokens" , 1]'),
        ("/v1/completions", b'{"max_tokens" : 1}'),
        ("/v1/embeddings", b'{"top_k" : 1}'),
    ],
)
def test_what_names_no_such_field_is_passed_on_byte_for_byte(manners: Manners, path: str, body: bytes) -> None:
    assert manners.suited(path, body) == body


@pytest.mark.parametrize("path", [COMPLETIONS, "/v1/completions"])
def test_gemini_gets_no_fields_that_it_does_not_know_and_max_tokens_by_its_name(path: str) -> None:
    body = {"prompt": "x", "max_tokens": 5, "reasoning_effort": "low"}

    assert orjson.loads(STRICT.suited(path, orjson.dumps(body | OPTIONS | THINKING))) == body
    assert GEMINI.manners is STRICT


@pytest.mark.parametrize(
    ("host", "manners"),
    [
        ("api.openai.com", OF_OPENAI),
        ("eu.api.openai.com", OF_OPENAI),
        ("API.OpenAI.com.", OF_OPENAI),
        ("firm.openai.azure.com", OF_OPENAI),
        ("generativelanguage.googleapis.com", STRICT),
        ("api.mistral.ai", STRICT),
        ("api.groq.com", STRICT),
        ("notapi.openai.com", LENIENT),
        ("api.openai.com.example", LENIENT),
        ("127.0.0.1", LENIENT),
    ],
)
def test_how_requests_are_wanted_is_told_by_the_host(host: str, manners: Manners) -> None:
    assert manners_of(host) is manners
    assert OPENAI.manners is None


@pytest.mark.parametrize("variant", [OPENAI])
async def test_a_server_elsewhere_gets_what_was_asked(refusing: Upstream, server: OpenAICompatibleServer) -> None:
    asked = ASKED | OPTIONS | THINKING | {"max_tokens": 5}

    async with server.forward(COMPLETIONS, orjson.dumps(asked)) as reply:
        assert reply.status == 400
    assert refusing.bodies[0] == asked


@pytest.mark.parametrize(
    ("model", "told"),
    [("gpt-5", False), ("gpt-5.1-mini", False), ("o3-mini", False), ("openai/o4-mini", False), ("o1", False)]
    + [(name, True) for name in ("gpt-5-chat-latest", "gpt-4o", "gpt-oss-20b", "olmo-3", "proto1")],
)
@pytest.mark.parametrize("variant", [OPENAI])
async def test_a_temperature_is_told_to_models_that_take_one(
    refusing: Upstream, server: OpenAICompatibleServer, model: str, told: bool
) -> None:
    refusing.handler = refusing.answer
    prompt = Prompt(model=model, messages=(PromptMessage("user", "hello"),), temperature=0.0)

    assert await anext(server.chat(prompt)) == TextDelta("x")
    assert ("temperature" in refusing.bodies[0]) is told
