"""Whose request gets a place of a model next, seen through the dialects: interactive ones first, then fair shares."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from fireside.adapters.language_model.model_server import Endpoint
from fireside.adapters.language_model.openai_compatible import OpenAICompatibleServer
from fireside.core.clock import SystemClock
from fireside.services.inference.fair_queue import FairQueue
from fireside.services.inference.model import Catalogue, ServedModel
from fireside.services.inference.service import InferenceService
from tests.adapters.upstream import Upstream, running_upstream
from tests.services.gateway.open_gateway import USER_HEADER, open_gateway
from tests.services.inference.parts import room
from tests.services.inference.provider_house import answering

pytestmark = pytest.mark.requirement("I6")

PLACES, USERS, TURNS, TURN_S = 4, 8, 320, 0.04
CHAT, MESSAGES_API, OLLAMA = "/v1/chat/completions", "/v1/messages", "/api/chat"


class Turns:
    """Clients of a model with few places, and the order in which its server got their requests."""

    def __init__(self, client: aiohttp.ClientSession, upstream: Upstream, queue: FairQueue) -> None:
        self.client, self.upstream, self.queue = client, upstream, queue
        self.go = asyncio.Event()

    def hold(self) -> None:
        """Have the model's server answer nobody before `go` is set."""

        async def handle(request: web.Request) -> web.StreamResponse:
            await self.go.wait()
            return await answering("well")(request)

        self.upstream.handler = handle

    async def ask(self, path: str, text: str, wishes: dict[str, Any] | None = None, *, user: int = 0) -> int:
        body = {"model": "tiny", "messages": [{"role": "user", "content": text}], "max_tokens": 5, "stream": False}
        headers = {USER_HEADER: str(user)}
        async with self.client.post(path, json=body | (wishes or {}), headers=headers) as reply:
            await reply.read()
            return reply.status

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not holds():
                await asyncio.sleep(0.002)


@pytest.fixture
async def turns(places: int) -> AsyncIterator[Turns]:
    async with running_upstream() as upstream:

        async def locate() -> Endpoint:
            return Endpoint(upstream.base_url)

        queue = FairQueue(places=places, most_waiting=100, clock=SystemClock())
        model = ServedModel("tiny", "tiny", OpenAICompatibleServer(locate), queue, "write", 4096)
        inference = InferenceService(catalogue=Catalogue((model,)), room=room())
        async with open_gateway(inference) as client:
            yield Turns(client, upstream, queue)


def said(body: dict[str, Any]) -> str:
    return str(body["messages"][0]["content"])


@pytest.mark.parametrize("places", [1])
async def test_interactive_requests_of_every_dialect_go_before_flexible_ones_that_came_first(turns: Turns) -> None:
    turns.hold()
    asking = [asyncio.create_task(turns.ask(CHAT, "running"))]
    await turns.until(lambda: len(turns.upstream.bodies) == 1)
    for number, (path, text, wishes) in enumerate(
        [
            (CHAT, "flexible", {"service_tier": "flex"}),
            (CHAT, "flexible", {"service_tier": "flex", "stream": True}),
            (CHAT, "interactive", {"service_tier": "auto"}),
            (MESSAGES_API, "interactive", {}),
            (OLLAMA, "interactive", {}),
        ],
        start=2,
    ):
        asking.append(asyncio.create_task(turns.ask(path, text, wishes)))
        await turns.until(lambda wanted=number: turns.queue.busy == wanted)
    turns.go.set()

    assert await asyncio.gather(*asking) == [200] * 6
    order = [said(body) for body in turns.upstream.bodies]
    assert order == ["running", *["interactive"] * 3, *["flexible"] * 2]


@pytest.mark.parametrize("places", [PLACES])
async def test_eight_users_get_equal_turns_of_four_places_however_many_clients_they_have(turns: Turns) -> None:
    served = Counter[str]()

    async def handle(request: web.Request) -> web.StreamResponse:
        served[said(await request.json())] += 1
        await asyncio.sleep(TURN_S)
        return web.json_response({"choices": []})

    async def keep_asking(user: int) -> None:
        while served.total() < TURNS:
            assert await turns.ask(CHAT, f"of user {user}", user=user) == 200

    turns.upstream.handler = handle
    async with asyncio.TaskGroup() as clients:
        for user in range(USERS):
            for _ in range(user + 2):
                clients.create_task(keep_asking(user))

    counts = list(served.values())
    assert len(counts) == USERS
    assert sum(counts) ** 2 / (USERS * sum(count * count for count in counts)) >= 0.95
