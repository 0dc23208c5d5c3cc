"""What calls use that are left before anything of their answers was passed on."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
from aiohttp import web

from fireside.adapters.language_model.llama_server import LlamaServer
from fireside.adapters.language_model.model_server import Endpoint
from fireside.adapters.language_model.openai_compatible import OpenAICompatibleServer
from fireside.adapters.usage_counters.memory import MemoryUsageCounters
from fireside.contracts.inference import FORWARD, Forward
from fireside.core.clock import SystemClock
from fireside.ports.language_model import Heard, RawReply
from fireside.testing.mesh import eventually
from tests.adapters.upstream import Upstream, running_upstream
from tests.databases import database_fixture
from tests.runtime.metering.houses import MIGRATIONS, MeteredHouse, limit, metered_house
from tests.services.inference.provider_house import COMPLETIONS, event

database_url = database_fixture("usage", MIGRATIONS)
QUESTION: dict[str, Any] = {"model": "small", "messages": [{"role": "user", "content": "x" * 300}]}
PROMPT_TOKENS = -(-len(orjson.dumps(QUESTION | {"max_tokens": 40})) // 3)
WORDS = 20


class Talker:
    """Says some words of an answer that is streamed, nothing of one in one piece; and then it hangs."""

    def __init__(self) -> None:
        self.asked, self.goes_on = asyncio.Event(), asyncio.Event()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        if (await request.json()).get("stream"):
            await response.prepare(request)
            for _ in range(WORDS):
                await response.write(event(delta={"content": "a"}))
        self.asked.set()
        await self.goes_on.wait()
        return response


class WatchedLlama(LlamaServer):
    """A test can see what it has heard."""

    events = 0

    @asynccontextmanager
    async def forward(self, path: str, body: bytes, heard: Heard | None = None) -> AsyncGenerator[RawReply, None]:
        def watched(data: bytes) -> None:
            assert heard is not None
            heard(data)
            self.events += data.count(b"data:")

        async with super().forward(path, body, watched) as reply:
            yield reply


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    async with running_upstream() as upstream:
        yield upstream


@pytest.fixture
async def talker(upstream: Upstream) -> AsyncIterator[Talker]:
    talker = Talker()
    upstream.handler = talker.answer
    yield talker
    talker.goes_on.set()


@pytest.fixture
def llama(upstream: Upstream) -> WatchedLlama:
    async def locate() -> Endpoint:
        return Endpoint(upstream.base_url)

    return WatchedLlama(locate)


@pytest.fixture
def provider(upstream: Upstream) -> OpenAICompatibleServer:
    async def locate() -> Endpoint:
        return Endpoint(upstream.base_url)

    return OpenAICompatibleServer(locate)


class Asking:
    """Somebody who asks for an answer in one piece, and leaves when a test says so."""

    def __init__(self, house: MeteredHouse, **wish: Any) -> None:
        self._house = house
        self._task = asyncio.create_task(self._ask(orjson.dumps(QUESTION | wish)))

    async def _ask(self, body: bytes) -> None:
        asked = Forward(path=COMPLETIONS, model="small", body=body)
        async for _ in self._house.node.context(identity=self._house.me).stream(FORWARD, asked):
            pass

    async def leave(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


@asynccontextmanager
async def metered(url: str, server: OpenAICompatibleServer) -> AsyncGenerator[MeteredHouse]:
    async with metered_house(url, MemoryUsageCounters(SystemClock()), limit("user", 1000), server=server) as house:
        yield house
        await server.close()


@pytest.mark.requirement("I5", "I15")
@pytest.mark.parametrize(("max_tokens", "counted"), [(40, WORDS), (12, 12)])
async def test_what_the_engine_has_said_counts_and_never_more_than_was_held(
    database_url: str, llama: WatchedLlama, talker: Talker, max_tokens: int, counted: int
) -> None:
    async with metered(database_url, llama) as house:
        asking = Asking(house, max_tokens=max_tokens)
        await eventually(lambda: llama.events == WORDS)
        await asking.leave()
        own = await house.own_after(1)

    assert (own.total.prompt_tokens, own.total.completion_tokens) == (PROMPT_TOKENS, counted)
    assert own.total.estimated_requests == 1
    assert [(state.used, state.reserved) for state in own.limits] == [(PROMPT_TOKENS + counted, 0)]


async def test_of_a_provider_that_answers_in_one_piece_the_prompt_counts(
    database_url: str, provider: OpenAICompatibleServer, talker: Talker
) -> None:
    async with metered(database_url, provider) as house:
        asking = Asking(house, max_tokens=40)
        async with asyncio.timeout(10):
            await talker.asked.wait()
        await asking.leave()
        own = await house.own_after(1)

    assert (own.total.prompt_tokens, own.total.completion_tokens) == (PROMPT_TOKENS, 0)


async def test_whoever_leaves_while_others_are_served_has_used_nothing(
    database_url: str, llama: WatchedLlama, talker: Talker
) -> None:
    async with metered(database_url, llama) as house:
        asking = [Asking(house, max_tokens=40) for _ in range(2)]  # there are two places
        await eventually(lambda: llama.events == 2 * WORDS)
        waiting = Asking(house, max_tokens=40)
        async with asyncio.timeout(10):
            while (await house.own()).limits[0].reserved < 3 * (PROMPT_TOKENS + 40):
                await asyncio.sleep(0.001)
        await waiting.leave()
        await asking[0].leave()
        await house.own_after(1)
        await asking[1].leave()
        own = await house.own_after(2)

    assert own.total.requests == 2
    assert own.total.completion_tokens == 2 * WORDS
