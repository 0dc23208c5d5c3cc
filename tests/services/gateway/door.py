"""The auth service behind the guard of the gateway, spoken to over HTTP and WebSockets, without a network."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from fastapi import Depends, FastAPI, Request, WebSocket, WebSocketDisconnect
from fastapi.responses import Response, StreamingResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fireside.adapters.rate_windows.memory import MemoryRateWindows
from fireside.contracts.base import PUBLIC
from fireside.contracts.permissions import ADMIN_READ, route_access
from fireside.core.tasks import begun
from fireside.ports.rate_windows import RateWindows
from fireside.runtime.durable import Database
from fireside.services.auth.routes import routes
from fireside.services.gateway.access import require_declared_access
from fireside.services.gateway.guard import Guard
from fireside.services.gateway.identities import Authenticator
from fireside.services.gateway.problems import add_problem_handlers
from fireside.services.gateway.settings import GatewaySettings
from tests.services.auth.house import ADMIN_EMAIL, PASSWORD, House, auth_house

BASE = "http://fireside.test"
BROWSER = {"sec-fetch-site": "same-origin", "origin": BASE}


@dataclass
class Door:
    """A guarded application and its house."""

    house: House
    app: ASGIApp
    client: httpx.AsyncClient
    authenticator: Authenticator
    guard: Guard
    seen: list[dict[str, Any]] = field(default_factory=list)
    more: asyncio.Queue[str] = field(default_factory=asyncio.Queue)

    async def token(self, email: str = ADMIN_EMAIL, password: str = PASSWORD, **headers: str) -> httpx.Response:
        form = {"grant_type": "password", "username": email, "password": password}
        return await self.client.post("/api/v1/auth/token", data=form, headers=headers)

    async def bearer(self, email: str = ADMIN_EMAIL) -> dict[str, str]:
        return {"authorization": f"Bearer {(await self.token(email)).json()['access_token']}"}

    async def house_bearer(self) -> dict[str, str]:
        """A token of the administrator, asked for without a request."""
        return {"authorization": f"Bearer {(await self.house.sign_in(ADMIN_EMAIL)).access_token}"}

    async def key(self, headers: dict[str, str], **request: Any) -> str:
        made = await self.client.post("/api/v1/auth/api-keys", json={"name": "k", **request}, headers=headers)
        return str(made.json()["key"])

    async def get(self, path: str, headers: dict[str, str] | None = None) -> httpx.Response:
        return await self.client.get(path, headers=headers)

    def socket(self, **options: Any) -> "Socket":
        return Socket(self.app, **options)


class Socket:
    """The client's side of a WebSocket."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        path: str = "/echo",
        headers: dict[str, str] | None = None,
        subprotocols: tuple[str, ...] = (),
    ) -> None:
        given = {**(headers or {}), **({"sec-websocket-protocol": ", ".join(subprotocols)} if subprotocols else {})}
        self._scope = {
            "type": "websocket",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "scheme": "ws",
            "headers": [(name.encode(), value.encode()) for name, value in given.items()],
            "client": ("10.0.0.1", 1234),
            "server": ("fireside.test", 80),
            "subprotocols": list(subprotocols),
            "state": {},
            "asgi": {"version": "3.0"},
        }
        self._app = app
        self._to_app: asyncio.Queue[Message] = asyncio.Queue()
        self._from_app: asyncio.Queue[Message] = asyncio.Queue()
        self._running: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Socket":
        self._to_app.put_nowait({"type": "websocket.connect"})
        self._running = asyncio.create_task(self._app(self._scope, self._to_app.get, self._from_app.put))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._to_app.put_nowait({"type": "websocket.disconnect", "code": 1000})
        assert self._running is not None
        async with asyncio.timeout(5):
            await self._running

    async def next(self) -> Message:
        async with asyncio.timeout(5):
            return await self._from_app.get()

    def say(self, text: str) -> None:
        self._to_app.put_nowait({"type": "websocket.receive", "text": text})

    async def ask(self, text: str) -> Any:
        self.say(text)
        message = await self.next()
        return json.loads(message["text"]) if message["type"] == "websocket.send" else message


async def who(request: Request) -> dict[str, Any]:
    context = request.state.context
    request.app.state.door.seen.append(dict(request.headers.items()))
    user_id = context.identity.user_id
    return {
        "user": None if user_id is None else str(user_id),
        "kind": context.identity.kind,
        "request_id": context.request_id,
        "address": request.state.client.address,
        "scheme": request.scope["scheme"],
        "browser": request.state.client.browser,
    }


async def admins_only(request: Request) -> dict[str, bool]:
    request.state.context.identity.require(ADMIN_READ)
    return {"ok": True}


async def length(request: Request) -> int:
    return len(await request.body())


async def broken() -> None:
    raise RuntimeError("the password of the database is hunter2")


async def stream(request: Request) -> StreamingResponse:
    more = request.app.state.door.more

    async def pieces() -> AsyncGenerator[str, None]:
        yield "begun;"
        while (text := await more.get()) != "end":
            if text == "fail":
                raise RuntimeError("failed in the middle")
            yield text

    return StreamingResponse(pieces())


class Poured(Response):
    """Pieces that are sent in callbacks of the event loop, in no task, as those of a model's server are."""

    def __init__(self, more: "asyncio.Queue[str]") -> None:
        self._more, self.background = more, None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        loop = asyncio.get_running_loop()
        await send({"type": "http.response.start", "status": 200})
        text = "begun;"
        while text != "end":
            message = {"type": "http.response.body", "body": text.encode(), "more_body": True}
            sent = loop.create_future()
            loop.call_soon(lambda sent=sent, message=message: sent.set_result(begun(send(message))))
            if (rest := await sent) is not None:
                await rest
            text = await self._more.get()
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def poured(request: Request) -> Poured:
    return Poured(request.app.state.door.more)


async def echo(websocket: WebSocket) -> None:
    await websocket.accept()
    try:
        while True:
            text = await websocket.receive_text()
            identity = websocket.state.context.identity
            await websocket.send_json({"echo": text, "roles": sorted(identity.roles)})
    except WebSocketDisconnect as left:
        websocket.app.state.door.seen.append({"left": left.code})


def make_app() -> FastAPI:
    """The routes of identity, and some to look at what arrives behind the guard."""
    app = FastAPI(redirect_slashes=False, dependencies=[Depends(require_declared_access)])
    everyone = {"openapi_extra": route_access(PUBLIC)}
    app.include_router(routes())
    add_problem_handlers(app)
    app.add_api_route("/who", who, **everyone)
    app.add_api_route("/admins-only", admins_only, **everyone)
    app.add_api_route("/length", length, methods=["POST"], **everyone)
    app.add_api_route("/api/v1/documents", length, methods=["POST"], **everyone)
    app.add_api_route("/broken", broken, **everyone)
    app.add_api_route("/stream", stream, **everyone)
    app.add_api_route("/poured", poured, **everyone)
    app.add_api_websocket_route("/echo", echo)
    return app


@asynccontextmanager
async def open_door(
    database: Database,
    *,
    windows: RateWindows | None = None,
    auth: dict[str, Any] | None = None,
    first_message_s: float = 5.0,
    **settings: Any,
) -> AsyncGenerator[Door, None]:
    """A guarded application over the auth service."""
    async with auth_house(database, **(auth or {})) as house:
        gateway = GatewaySettings(**settings)
        authenticator = Authenticator(clock=house.clock, remember_s=gateway.remember_identity_s)
        house.listeners.append(authenticator.forget)
        guard = Guard(
            authenticator=authenticator,
            make_context=house.node.context,
            settings=gateway,
            windows=windows or MemoryRateWindows(house.clock),
            first_message_s=first_message_s,
        )
        routes_behind = make_app()
        app = guard.around(routes_behind)
        transport = httpx.ASGITransport(app, client=("10.0.0.1", 1234))
        async with httpx.AsyncClient(transport=transport, base_url=BASE) as client:
            routes_behind.state.door = Door(house, app, client, authenticator, guard)
            yield routes_behind.state.door


class Reply:
    """A reply of which the test takes one piece at a time; httpx's transport would wait for the whole."""

    def __init__(self, app: ASGIApp, path: str, headers: dict[str, str]) -> None:
        self._scope = {
            "type": "http",
            "method": "GET",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "http_version": "1.1",
            "scheme": "http",
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
            "client": ("10.0.0.1", 1234),
            "server": ("fireside.test", 80),
            "state": {},
            "asgi": {"version": "3.0", "spec_version": "2.3"},
        }
        self._app = app
        self._messages: asyncio.Queue[Message] = asyncio.Queue()
        self._requests: asyncio.Queue[Message] = asyncio.Queue()
        self.running: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Reply":
        self._requests.put_nowait({"type": "http.request", "body": b"", "more_body": False})
        self.running = asyncio.create_task(self._app(self._scope, self._requests.get, self._messages.put))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._requests.put_nowait({"type": "http.disconnect"})
        assert self.running is not None
        async with asyncio.timeout(5):
            await self.running

    async def next(self) -> Message:
        async with asyncio.timeout(5):
            return await self._messages.get()

    def left(self) -> list[Message]:
        """What has come and was not taken."""
        return [self._messages.get_nowait() for _ in range(self._messages.qsize())]
