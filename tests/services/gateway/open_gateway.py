"""The gateway before an inference service, over real sockets; every request is one person's."""

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import uvicorn

from fireside.services.gateway.app import Page, create_app
from fireside.services.inference.service import InferenceService
from fireside.testing.mesh import local_node
from tests.services.gateway.gateway_house import AsSomeone, a_probe, person


@asynccontextmanager
async def open_gateway(inference: InferenceService, page: Path) -> AsyncGenerator[aiohttp.ClientSession, None]:
    """A client of it."""
    async with local_node(inference) as node:
        app = create_app(routers=(), probes=a_probe(), page=Page(page))
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen(16)
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            server = uvicorn.Server(
                uvicorn.Config(AsSomeone(app, node, person()), log_level="warning", lifespan="off", ws="none")
            )
            serving = asyncio.create_task(server.serve([listener]))
            async with aiohttp.ClientSession(url, headers={"content-type": "application/json"}) as client:
                yield client
            server.should_exit = True
            await serving
