"""The gateway before services, over real sockets; a header says whose request it is."""

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from uuid import UUID

import aiohttp
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from fireside.contracts.permissions import ROLES
from fireside.core.identity import user_identity
from fireside.core.ids import UserId
from fireside.runtime.mesh import Node, Service
from fireside.testing.mesh import local_node
from tests.services.gateway.gateway_house import USER_ID, AsSomeone, pageless_app

USER_HEADER = "x-test-user"


class AsTheHeaderSays:
    """Stands where the guard stands: a request is of the user whose number its header has."""

    def __init__(self, app: ASGIApp, node: Node) -> None:
        self._app, self._node = app, node

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        number = int(dict(scope["headers"]).get(USER_HEADER.encode(), b"0"))
        user_id = UserId(UUID(int=USER_ID.int + number))
        identity = user_identity(user_id, roles=["user"], permissions=ROLES["user"])
        await AsSomeone(self._app, self._node, identity)(scope, receive, send)


@asynccontextmanager
async def open_gateway(*services: Service) -> AsyncGenerator[aiohttp.ClientSession, None]:
    """A client of it."""
    async with local_node(*services) as node:
        app = pageless_app()
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen(16)
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            server = uvicorn.Server(
                uvicorn.Config(AsTheHeaderSays(app, node), log_level="warning", lifespan="off", ws="none")
            )
            serving = asyncio.create_task(server.serve([listener]))
            async with aiohttp.ClientSession(url, headers={"content-type": "application/json"}) as client:
                yield client
            server.should_exit = True
            await serving
