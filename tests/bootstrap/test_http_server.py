"""A server that stops answers whoever has connected before, also who was not let in yet."""

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn

from fireside.bootstrap import http_server
from fireside.bootstrap.http_server import HttpServer, listen

ASKED = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"


async def say_hello(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"hello"})


@asynccontextmanager
async def serving(sockets: list[socket.socket]) -> AsyncGenerator[HttpServer]:
    """A server that serves, and was not told to stop."""
    ready = asyncio.Event()
    config = uvicorn.Config(say_hello, log_config=None, lifespan="off", timeout_graceful_shutdown=5)
    server = HttpServer(config, ready.set)
    config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup(sockets)
    assert ready.is_set()
    yield server


@pytest.fixture(autouse=True)
def _keep_the_collector(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "_spare_the_collector", lambda: None)
    monkeypatch.setattr(http_server, "_forget_generators", lambda: None)


async def reply_on(client: socket.socket) -> bytes:
    """All that comes until the server hangs up."""
    loop, reply = asyncio.get_running_loop(), b""
    client.setblocking(False)
    while piece := await loop.sock_recv(client, 4096):
        reply += piece
    return reply


@pytest.mark.requirement("P3", "O7")
async def test_who_waits_at_the_door_when_it_closes_is_answered() -> None:
    with listen("127.0.0.1", 0) as listening:
        async with serving([listening]) as server:
            address = listening.getsockname()
            clients = [socket.create_connection(address) for _ in range(3)]
            clients[0].sendall(ASKED)
            stopping = asyncio.create_task(server.shutdown([listening]))
            await asyncio.sleep(0)  # the door is closed before the event loop could let anybody in
            clients[1].sendall(ASKED)
            await asyncio.sleep(0.2)
            clients[2].sendall(ASKED)
            replies = await asyncio.gather(*map(reply_on, clients))
            await stopping
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(address)
    for client, reply in zip(clients, replies, strict=True):
        client.close()
        assert reply.startswith(b"HTTP/1.1 200")
        assert reply.endswith(b"hello")


async def test_who_never_says_anything_is_not_waited_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "_SILENCE_S", 0.1)
    with listen("127.0.0.1", 0) as listening:
        async with serving([listening]) as server:
            with socket.create_connection(listening.getsockname()) as client:
                await asyncio.wait_for(server.shutdown([listening]), 20)
                assert await reply_on(client) == b""
