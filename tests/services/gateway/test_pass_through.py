"""The whole way of a plain model's bytes over real sockets: a client, the gateway, the inference service, a server."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

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
from tests.services.gateway.gateway_house import chunks
from tests.services.gateway.open_gateway import open_gateway
from tests.services.inference.parts import room

ASKED = b'{"model": "tiny",  "messages": [],"grammar":"root" }'
SSE = {"content-type": "text/event-stream"}
DIALECTS = {
    "/v1/chat/completions": b'{"model":"tiny","stream":true,"messages":[{"role":"user","content":"x"}]}',
    "/v1/messages": b'{"model":"tiny","stream":true,"max_tokens":9,"messages":[{"role":"user","content":"x"}]}',
    "/api/chat": b'{"model":"tiny","messages":[{"role":"user","content":"x"}]}',
}


@dataclass
class Way:
    """A client that speaks to the gateway, and the server of its model."""

    client: aiohttp.ClientSession
    upstream: Upstream
    queue: FairQueue
    left: asyncio.Event = field(default_factory=asyncio.Event)
    left_at: float = 0.0

    def hold(self, *first: bytes) -> None:
        """Have the model's server say something, then nothing until whoever asks hangs up."""

        async def handle(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse(headers=SSE)
            try:
                if first:
                    await response.prepare(request)
                for piece in first:
                    await response.write(piece)
                while request.transport is not None:
                    await asyncio.sleep(0.002)
            finally:
                self.left_at = time.perf_counter()
                self.left.set()
            return response

        self.upstream.handler = handle


@pytest.fixture
async def way() -> AsyncIterator[Way]:
    async with running_upstream() as upstream:

        async def locate() -> Endpoint:
            return Endpoint(upstream.base_url)

        queue = FairQueue(places=1, most_waiting=8, clock=SystemClock())
        model = ServedModel(
            name="tiny",
            upstream_name="tiny",
            server=OpenAICompatibleServer(locate),
            queue=queue,
            answer_style="write",
            context_tokens=8,
        )
        inference = InferenceService(catalogue=Catalogue((model,)), room=room())
        async with open_gateway(inference) as client:
            yield Way(client, upstream, queue)


async def test_a_reply_in_one_piece_comes_back_byte_for_byte(way: Way) -> None:
    async def echo(request: web.Request) -> web.StreamResponse:
        return web.Response(body=await request.read(), content_type="application/x-odd", status=418)

    way.upstream.handler = echo

    async with way.client.post("/v1/chat/completions", data=ASKED) as reply:
        assert (reply.status, reply.content_type) == (418, "application/x-odd")
        assert await reply.read() == ASKED


async def test_a_stream_comes_back_byte_for_byte_however_it_is_cut(way: Way) -> None:
    way.upstream.events = [b'data: {"a":', b" 1}\n", b"\n: odd\r\n\r\ndata: [DO", b"NE]\n\n"]

    async with way.client.post("/v1/chat/completions", data=ASKED) as reply:
        assert (reply.status, reply.headers["content-type"]) == (200, "text/event-stream")
        assert reply.headers["x-accel-buffering"] == "no"
        assert await reply.read() == b"".join(way.upstream.events)


async def test_what_the_server_says_of_a_request_it_refuses_comes_back_with_its_status(way: Way) -> None:
    async def refuse(request: web.Request) -> web.StreamResponse:
        return web.json_response({"error": {"message": "too warm"}}, status=400)

    way.upstream.handler = refuse

    async with way.client.post("/v1/chat/completions", data=ASKED) as reply:
        assert (reply.status, await reply.json()) == (400, {"error": {"message": "too warm"}})


async def test_a_stream_that_breaks_ends_with_the_error_and_gives_its_place_back(way: Way) -> None:
    async def break_off(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers=SSE)
        await response.prepare(request)
        await response.write(b'data: {"a":1}\n\n')
        assert request.transport is not None
        request.transport.abort()
        return response

    way.upstream.handler = break_off

    for _ in range(2):  # there is one place
        async with way.client.post("/v1/chat/completions", data=ASKED) as reply:
            first, error, done = chunks(await reply.read())
            assert (first, done) == ({"a": 1}, "[DONE]")
            assert "broke off" in error["error"]["message"]


async def test_the_connection_to_the_server_is_used_again(way: Way) -> None:
    ports = set[int]()

    async def note(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        ports.add(request.transport.get_extra_info("peername")[1])
        return web.json_response({})

    way.upstream.handler = note
    for _ in range(5):
        async with way.client.post("/v1/chat/completions", data=ASKED) as reply:
            await reply.read()

    assert len(ports) == 1


@pytest.mark.parametrize("path", DIALECTS)
@pytest.mark.parametrize("begun", [True, False], ids=["in the middle", "before the first word"])
async def test_a_client_that_leaves_frees_the_place_of_its_model(way: Way, path: str, begun: bool) -> None:
    word = b'data: {"choices":[{"index":0,"delta":{"content":"word"},"finish_reason":null}]}\n\n'
    way.hold(*([word] if begun else []))

    asking = asyncio.create_task(way.client.post(path, data=DIALECTS[path]))
    if begun:
        reply = await asking
        assert await reply.content.readany()
        reply.close()
    else:
        async with asyncio.timeout(10):
            while not way.upstream.bodies:
                await asyncio.sleep(0.005)
        asking.cancel()

    async with asyncio.timeout(10):
        await way.left.wait()
        with way.queue.join("the next") as ticket:
            assert [place async for place in ticket.wait()] == []


async def test_a_slow_client_holds_its_server_up_instead_of_filling_memory(way: Way) -> None:
    most_bytes, piece = 64_000_000, b"data: " + b"x" * 65_530
    sent, held = 0, asyncio.Event()

    async def flood(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse(headers=SSE)
        await response.prepare(request)
        while sent < most_bytes:
            writing = asyncio.ensure_future(response.write(piece))
            done, _ = await asyncio.wait((writing,), timeout=1.0)
            if not done:
                held.set()
            await writing
            sent += len(piece)
        held.set()
        return response

    way.upstream.handler = flood
    reply = await way.client.post("/v1/chat/completions", data=ASKED)
    async with asyncio.timeout(60):
        await held.wait()

    assert sent < most_bytes / 2
    reply.close()
