"""What clients of each dialect see when a provider fails, by the name of the fault; see provider-faults.md."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson
import pytest

from fireside.contracts.explore import Shelf
from fireside.core.clock import SystemClock
from fireside.runtime.metrics import Metrics
from tests.adapters.upstream import Upstream, running_upstream
from tests.services.gateway.open_gateway import open_gateway
from tests.services.inference.faults import (
    AFTER_THE_FIRST_WORD,
    ANSWER_S,
    BEFORE_THE_FIRST_WORD,
    FIRST_WORD_S,
    Fault,
    begun,
    sent,
)
from tests.services.inference.parts import Shelves
from tests.services.inference.provider_house import inference_service, provider, refusing

pytestmark = pytest.mark.requirement("I5")

OPENAI, RESPONSES, ANTHROPIC, OLLAMA = "/v1/chat/completions", "/v1/responses", "/v1/messages", "/api/chat"
MESSAGES = [{"role": "user", "content": "hello"}]
CALLS: dict[str, dict[str, Any]] = {
    OPENAI: {"model": "big", "messages": MESSAGES},
    RESPONSES: {"model": "big", "input": "hello"},
    ANTHROPIC: {"model": "big", "messages": MESSAGES, "max_tokens": 50},
    OLLAMA: {"model": "big", "messages": MESSAGES},
}
STATUSES = {
    "slow to the first byte": 504,
    "gone before the first byte": 502,
    "wrong JSON in a stream": 502,
    "a page instead of JSON": 502,
    "rate limit": 429,
    "key refused": 502,
    "key without rights": 502,
    "model gone": 404,
    "status 500": 502,
    "status 503": 503,
    "nothing sent": 502,
    "context overflow": 400,
}
UNREAD = "wrong JSON in a stream"


@dataclass
class Front:
    """A client of the gateway, and the provider behind it."""

    client: aiohttp.ClientSession
    upstream: Upstream

    async def ask(self, path: str, *, stream: bool, model: str = "big") -> tuple[int, bytes, str]:
        """Status, body and `Retry-After` of a reply."""
        body = CALLS[path] | {"stream": stream, "model": model}
        async with self.client.post(path, json=body) as reply:
            return reply.status, await reply.read(), reply.headers.get("retry-after", "")


@pytest.fixture
async def front() -> AsyncIterator[Front]:
    async with running_upstream() as upstream:
        failing = provider("bad", upstream.base_url, first_word_s=FIRST_WORD_S, answer_s=ANSWER_S)
        down = provider("down", "http://127.0.0.1:9", models=["down"])
        inference = inference_service(Metrics(), SystemClock())
        async with open_gateway(Shelves(Shelf(providers=(failing, down))), inference) as client:
            yield Front(client, upstream)


def message_of(path: str, body: bytes) -> str:
    """What an error says, in the shape of its dialect."""
    found = orjson.loads(body)
    return str(found["error"] if path == OLLAMA else found["error"]["message"])


def ends_with_its_error(path: str, body: bytes) -> bool:
    """Whether a stream ends with an error in the way of its dialect."""
    lines = [line for line in body.split(b"\n") if line.strip()]
    if path == OLLAMA:
        return bool(orjson.loads(lines[-1])["error"])
    if path == OPENAI:
        return lines[-1] == b"data: [DONE]" and bool(orjson.loads(lines[-2][6:])["error"]["message"])
    named, told = lines[-2], orjson.loads(lines[-1][6:])
    if path == ANTHROPIC:
        return named == b"event: error" and told["type"] == "error"
    return named == b"event: response.failed" and told["response"]["status"] == "failed"


@pytest.mark.parametrize("fault", BEFORE_THE_FIRST_WORD, ids=lambda fault: fault.name)
@pytest.mark.parametrize("path", CALLS)
@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
async def test_before_the_first_word_a_fault_is_an_error_of_the_dialect_with_its_own_status(
    front: Front, path: str, fault: Fault, stream: bool
) -> None:
    front.upstream.handler = fault.handler
    status, body, _ = await front.ask(path, stream=stream)

    if fault.name == UNREAD and path == OPENAI:  # bytes pass unread
        assert (status, ends_with_its_error(path, body)) == (200, True)
    else:
        assert status == STATUSES[fault.name], body
        assert message_of(path, body)


@pytest.mark.parametrize("name", AFTER_THE_FIRST_WORD)
@pytest.mark.parametrize("path", CALLS)
async def test_after_the_first_word_a_stream_ends_with_the_error_of_its_dialect(
    front: Front, path: str, name: str
) -> None:
    front.upstream.handler, expected = AFTER_THE_FIRST_WORD[name]

    status, body, _ = await front.ask(path, stream=True)

    assert (status, b"half" in body) == (200, True)
    assert ends_with_its_error(path, body), body
    if path != OPENAI:  # which would get what the provider sends
        assert (await front.ask(path, stream=False))[0] == expected.status


@pytest.mark.parametrize("path", CALLS)
@pytest.mark.parametrize("stream", [True, False])
async def test_a_provider_that_is_down_is_unavailable(front: Front, path: str, stream: bool) -> None:
    status, body, _ = await front.ask(path, stream=stream, model="down")

    assert status == 503
    assert "does not answer" in message_of(path, body)


@pytest.mark.parametrize("path", CALLS)
async def test_a_rate_limit_of_the_provider_says_when_to_come_back(front: Front, path: str) -> None:
    front.upstream.handler = refusing(429, **{"retry-after": "7"})

    first = await front.ask(path, stream=True)
    then = await front.ask(path, stream=False)

    assert (first[0], first[2]) == (429, "7")
    assert then[0] == 503
    assert 1 <= int(then[2]) <= 7
    assert len(front.upstream.bodies) == 1, "the model is left alone so long"


@pytest.mark.parametrize("path", CALLS)
async def test_wrong_json_in_one_piece_passes_unread_in_openais_dialect_alone(front: Front, path: str) -> None:
    front.upstream.handler = sent(b"{nonsense")

    status, body, _ = await front.ask(path, stream=False)

    assert (status, body) == (200, b"{nonsense") if path == OPENAI else status == 502


async def test_half_an_answer_in_one_piece_is_an_error(front: Front) -> None:
    front.upstream.handler = begun(b'{"choices": [', then="gone", media_type="application/json")

    status, body, _ = await front.ask(OPENAI, stream=False)

    assert status == 502
    assert "broke off" in message_of(OPENAI, body)
