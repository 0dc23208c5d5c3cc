"""An inference service with providers on its shelf, which are real servers that a test sets."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import orjson
from aiohttp import web

from fireside.bootstrap.providers import Connector
from fireside.contracts.base import Nothing
from fireside.contracts.explore import ModelsChanged, Shelf
from fireside.contracts.inference import (
    CHAT,
    FORWARD,
    Chat,
    ChatDelta,
    ChatEnd,
    ChatQueued,
    Forward,
    ForwardChunk,
    ForwardHead,
)
from fireside.contracts.providers import NODE, ProviderHealth, ServedProvider, key_place
from fireside.core.clock import Clock, SystemClock
from fireside.core.errors import FiresideError
from fireside.core.identity import service_identity
from fireside.runtime.mesh import Context, Node, Service
from fireside.runtime.metrics import Metrics
from fireside.services.inference.model import Catalogue
from fireside.services.inference.service import InferenceService
from fireside.services.inference.settings import InferenceSettings
from fireside.testing.mesh import local_node
from tests.adapters.upstream import Upstream
from tests.boxes import BOX
from tests.services.inference.parts import HELLO, Engines, Shelves, person

COMPLETIONS = "/v1/chat/completions"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def provider(name: str, *urls: str, models: Sequence[str] = ("big",), key: str = "", **facts: Any) -> ServedProvider:
    sealed = BOX.seal(key.encode(), place=key_place(name)) if key else b""
    given = {"kind": "compatible", "urls": urls, "models": models, "sealed_key": sealed} | facts
    return ServedProvider.model_validate({"name": name} | given)


def event(**choice: Any) -> bytes:
    return b"data: " + orjson.dumps({"choices": [{"index": 0} | choice]}) + b"\n\n"


def says(*words: str) -> list[bytes]:
    """The events of an answer."""
    pieces = [event(delta={"content": word}) for word in words]
    return [*pieces, event(delta={}, finish_reason="stop"), b"data: [DONE]\n\n"]


def answering(*words: str) -> Handler:
    """Answers as is asked for, in one piece or as a stream."""

    async def handle(request: web.Request) -> web.StreamResponse:
        if request.method == "GET":
            return web.json_response({"data": [{"id": "big"}]})
        if not (await request.json()).get("stream"):
            message = {"role": "assistant", "content": "".join(words)}
            return web.json_response({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        for piece in says(*words):
            await response.write(piece)
        return response

    return handle


def refusing(status: int, *, code: str = "no", **headers: str) -> Handler:
    """Answers with an error."""

    async def handle(_request: web.Request) -> web.StreamResponse:
        body = {"error": {"message": f"because of {code}", "code": code}}
        return web.json_response(body, status=status, headers=headers)

    return handle


class AheadClock(SystemClock):
    """The machine's clock, put forward by a test."""

    ahead_s = 0.0

    def monotonic(self) -> float:  # type: ignore[override] - the machine's is no method
        return SystemClock.monotonic() + self.ahead_s


@dataclass
class ProviderHouse:
    """The node, its shelf, and someone who may use models."""

    node: Node
    shelves: Shelves
    metrics: Metrics
    clock: AheadClock

    @property
    def context(self) -> Context:
        return person(self.node, "user")

    async def chat(self, **request: object) -> list[ChatDelta | ChatEnd]:
        asked = Chat.model_validate({"messages": HELLO} | request)
        items = [item async for item in self.context.stream(CHAT, asked)]
        return [item for item in items if not isinstance(item, ChatQueued)]

    async def text(self, **request: object) -> str:
        return "".join(item.text for item in await self.chat(**request) if isinstance(item, ChatDelta))

    async def end(self, **request: object) -> ChatEnd:
        end = (await self.chat(**request))[-1]
        assert isinstance(end, ChatEnd)
        return end

    async def health(self, name: str) -> ProviderHealth:
        inside = self.node.context(identity=service_identity("explore"))
        found = await inside.call(NODE, Nothing())
        return next(health for health in found.health if health.name == name)

    async def forward(self, *, model: str = "big", stream: bool = False, path: str = COMPLETIONS) -> tuple[int, bytes]:
        """Status and body of a request that is passed through."""
        body = orjson.dumps({"model": model, "messages": [], "stream": stream, "api_base": "http://192.0.2.1"})
        items = self.context.stream(FORWARD, Forward(path=path, model=model, body=body))
        async with aclosing(items):
            head = await anext(items)
            assert isinstance(head, ForwardHead)
            return head.status, b"".join([item.data async for item in items if isinstance(item, ForwardChunk)])

    def sample(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(name, labels)

    async def until(self, text: str, **request: object) -> None:
        """Wait, a second at most, until this is what is answered."""
        async with asyncio.timeout(1):
            while True:
                with suppress(FiresideError):
                    if await self.text(**request) == text:
                        return
                await asyncio.sleep(0.01)

    async def put(self, shelf: Shelf) -> None:
        """Put this on the shelf and say so."""
        self.shelves.shelf = shelf
        await self.context.broadcast(ModelsChanged())


@asynccontextmanager
async def provider_house(
    *providers: ServedProvider,
    chain: Sequence[str] = (),
    others: Sequence[Service] = (),
    settings: InferenceSettings | None = None,
) -> AsyncGenerator[ProviderHouse]:
    shelves = Shelves(Shelf(providers=providers, chains={"answer": tuple(chain)} if chain else {}))
    metrics, clock = Metrics(), AheadClock()
    service = inference_service(metrics, clock, settings)
    async with local_node(shelves, service, *others) as node:
        yield ProviderHouse(node, shelves, metrics, clock)


def inference_service(metrics: Metrics, clock: Clock, settings: InferenceSettings | None = None) -> InferenceService:
    chosen, engines = settings or InferenceSettings(engine="off"), Engines()
    connector = Connector(settings=chosen, box=BOX, clock=clock, metrics=metrics, node_id="here")
    shelf, remote = connector.connect_fixed()
    return InferenceService(
        catalogue=Catalogue(tuple(remote)), room=engines.room, make_installed=engines.make, providers=shelf
    )


def set_up(upstream: Upstream, *words: str) -> Upstream:
    upstream.handler = answering(*words)
    return upstream
