"""An embedding model of a server that speaks OpenAI's API keeps the port's promises, and its mistakes are noticed."""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from typing import Any
from zlib import crc32

import numpy as np
import pytest
from aiohttp import web

from fireside.adapters.embedder.openai_server import OpenAiServerEmbedder
from fireside.adapters.language_model.model_server import Endpoint
from fireside.adapters.language_model.openai_compatible import OpenAICompatibleServer
from fireside.core.errors import InvalidInputError, UnavailableError
from fireside.ports.embedder import EmbedderFacts, EmbedderFailedError, EmbedderUnavailableError
from fireside.testing.cluster import free_port
from fireside.testing.conformance.embedder import EmbedderConformance

FACTS = EmbedderFacts("words", dimensions=64, max_tokens=512, pooling="server")
ALIKE = {"annual": "vacation", "leave": "vacation", "days": "vacation", "unused": "vacation", "carry": "year"}


def vector_of(text: str) -> list[float]:
    """Longer than a unit; texts with words that mean the same are close."""
    row = np.full(64, 0.01)
    for word in text.lower().split():
        row[crc32(ALIKE.get(word, word).encode()) % 64] += 3.0
    return row.tolist()


class EmbeddingServer:
    """Speaks `/v1/embeddings`. `requests` is what it was asked; `answer` makes another answer."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.keys: set[str | None] = set()
        self.answer: Callable[[dict[str, Any]], web.Response] = self.embeddings
        self.gate = asyncio.Event()
        self.gate.set()

    async def reply(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.requests.append(body)
        self.keys.add(request.headers.get("authorization"))
        await self.gate.wait()
        return self.answer(body)

    def embeddings(self, body: dict[str, Any]) -> web.Response:
        items = [{"index": index, "embedding": vector_of(text)} for index, text in enumerate(body["input"])]
        return web.json_response({"object": "list", "data": items[::-1], "model": body["model"]})


@pytest.fixture
def server() -> EmbeddingServer:
    return EmbeddingServer()


@pytest.fixture
async def embedder(server: EmbeddingServer) -> AsyncIterator[OpenAiServerEmbedder]:
    application, port = web.Application(), free_port()
    application.router.add_post("/v1/embeddings", server.reply)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()

    async def locate() -> Endpoint:
        return Endpoint(f"http://127.0.0.1:{port}", "secret")

    embedder = OpenAiServerEmbedder(OpenAICompatibleServer(locate), FACTS, model="words-v1", batch_texts=16, parallel=2)
    yield embedder
    server.gate.set()
    await embedder.aclose()
    await runner.cleanup()


class TestOpenAiServerEmbedder(EmbedderConformance):
    pass


async def test_the_server_is_told_model_and_key(embedder: OpenAiServerEmbedder, server: EmbeddingServer) -> None:
    await embedder.embed(["a"])

    assert server.requests == [{"model": "words-v1", "input": ["a"], "encoding_format": "float"}]
    assert server.keys == {"Bearer secret"}


async def test_calls_of_one_text_share_requests(embedder: OpenAiServerEmbedder, server: EmbeddingServer) -> None:
    texts = [f"word{number}" for number in range(100)]

    vectors = await asyncio.gather(*(embedder.embed([text]) for text in texts))

    assert len(server.requests) <= 9
    assert max(len(body["input"]) for body in server.requests) == 16
    expected = np.array([vector_of(text) for text in texts])
    cosines = (np.concatenate(vectors) * expected).sum(axis=1) / np.linalg.norm(expected, axis=1)
    assert cosines.min() > 0.999


async def test_what_nobody_waits_for_any_more_is_not_asked(
    embedder: OpenAiServerEmbedder, server: EmbeddingServer
) -> None:
    server.gate.clear()
    first = [asyncio.create_task(embedder.embed(["x"] * 16)) for _ in range(2)]
    async with asyncio.timeout(10):
        while len(server.requests) < 2:
            await asyncio.sleep(0.01)
    left = asyncio.create_task(embedder.embed(["left"]))
    await asyncio.sleep(0)
    left.cancel()
    await asyncio.gather(left, return_exceptions=True)
    server.gate.set()
    await asyncio.gather(*first)
    await embedder.embed(["asked"])

    assert not any("left" in body["input"] for body in server.requests)


def base64_of(body: dict[str, Any]) -> web.Response:
    rows = [np.array(vector_of(text), dtype="<f4").tobytes() for text in body["input"]]
    items = [{"index": index, "embedding": base64.b64encode(row).decode()} for index, row in enumerate(rows)]
    return web.json_response({"data": items})


async def test_vectors_in_base64_are_read_too(embedder: OpenAiServerEmbedder, server: EmbeddingServer) -> None:
    as_numbers = await embedder.embed(["a b"])
    server.answer = base64_of

    np.testing.assert_allclose(await embedder.embed(["a b"]), as_numbers, atol=1e-6)


@pytest.mark.parametrize(
    ("answer", "error", "says"),
    [
        ({"data": [{"index": 0, "embedding": [1.0] * 3}]}, EmbedderFailedError, "3 dimensions; 64"),
        ({"data": [{"index": 0, "embedding": [0.0] * 64}]}, EmbedderFailedError, "direction"),
        ({"data": [{"index": 7, "embedding": [1.0] * 64}]}, EmbedderFailedError, "embeddings"),
        ({"nothing": True}, EmbedderFailedError, "embeddings"),
    ],
)
async def test_answers_that_cannot_be_used_are_refused(
    embedder: OpenAiServerEmbedder, server: EmbeddingServer, answer: dict[str, Any], error: type[Exception], says: str
) -> None:
    server.answer = lambda _: web.json_response(answer)

    with pytest.raises(error, match=says):
        await embedder.embed(["a"])


@pytest.mark.parametrize(("status", "error"), [(404, InvalidInputError), (503, UnavailableError)])
async def test_what_the_server_refuses_every_caller_learns(
    embedder: OpenAiServerEmbedder, server: EmbeddingServer, status: int, error: type[Exception]
) -> None:
    server.answer = lambda _: web.json_response({"error": {"message": "no such model"}}, status=status)

    for failure in await asyncio.gather(embedder.embed(["a"]), embedder.embed(["b"]), return_exceptions=True):
        assert isinstance(failure, error)
        assert "no such model" in str(failure)


async def test_a_server_that_is_away_is_unavailable() -> None:
    async def locate() -> Endpoint:
        return Endpoint(f"http://127.0.0.1:{free_port()}")

    embedder = OpenAiServerEmbedder(OpenAICompatibleServer(locate), FACTS, model="x")

    with pytest.raises(UnavailableError):
        await embedder.warm_up()
    await embedder.aclose()
    with pytest.raises(EmbedderUnavailableError):
        await embedder.embed(["x"])
