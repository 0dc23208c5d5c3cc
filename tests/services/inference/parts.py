"""Stand-ins for engines, and for the service that knows what is installed."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from fireside.contracts.base import Nothing
from fireside.contracts.explore import SHELF, InstalledModel, ModelsChanged, Shelf
from fireside.contracts.inference import MODELS, ChatMessage
from fireside.core.clock import SystemClock
from fireside.core.errors import UnavailableError
from fireside.core.identity import user_identity
from fireside.core.ids import UserId, new_id
from fireside.ports.language_model import LanguageModelServer
from fireside.ports.model_engine import EngineAddress, EngineStatus
from fireside.ports.node_notes import NodeNotes
from fireside.runtime.mesh import Context, Node, Service, action
from fireside.services.inference.engine_room import EngineRoom
from fireside.services.inference.fair_queue import FairQueue
from fireside.services.inference.model import Catalogue, ServedModel
from fireside.services.inference.service import InferenceService
from fireside.services.inference.warm_start import WarmStart
from fireside.testing.mesh import local_node
from fireside.testing.scripted_model import ScriptedModel

HELLO = (ChatMessage(role="user", content="hello there"),)


class EngineDouble:
    """An engine whose state a test sets."""

    def __init__(self, status: EngineStatus) -> None:
        self.status = status
        self.calls: list[str] = []

    async def start(self, on_ready: Callable[[], None] = lambda: None) -> None:
        self.calls.append("start")
        self.on_ready = on_ready

    async def stop(self) -> None:
        self.calls.append("stop")

    async def address(self, *, timeout_s: float) -> EngineAddress:
        return EngineAddress("http://127.0.0.1:1", "")


def served(
    name: str,
    server: LanguageModelServer,
    *,
    upstream: str | None = None,
    engine: EngineDouble | None = None,
    memory_bytes: int = 0,
) -> ServedModel:
    return ServedModel(
        name=name,
        upstream_name=upstream or name,
        server=server,
        queue=FairQueue(places=2, most_waiting=2, clock=SystemClock()),
        answer_style="write",
        context_tokens=1000,
        engine=engine,
        memory_bytes=memory_bytes,
    )


def room(*, budget_bytes: int | None = None, keep_alive_s: float = 300.0) -> EngineRoom:
    return EngineRoom(budget_bytes=budget_bytes, keep_alive_s=keep_alive_s, clock=SystemClock())


class Shelves(Service):
    """Stands for the explore service: what a test puts on the shelf."""

    name = "explore"

    def __init__(self, shelf: Shelf) -> None:
        self.shelf: Shelf | None = shelf

    @action(SHELF)
    async def tell(self, context: Context, request: Nothing) -> Shelf:
        if self.shelf is None:
            raise UnavailableError("away")
        return self.shelf


def installed(name: str, *, size_bytes: int = 10) -> InstalledModel:
    return InstalledModel(name=name, path=f"/models/{name}", digest="0" * 64, size_bytes=size_bytes)


class Engines:
    """Makes engines of installed models, and remembers them."""

    def __init__(self, *, budget_bytes: int | None = None) -> None:
        self.room = room(budget_bytes=budget_bytes)
        self.made: dict[str, EngineDouble] = {}
        self.servers: dict[str, ScriptedModel] = {}

    def make(self, model: InstalledModel) -> ServedModel:
        self.made[model.name] = EngineDouble(EngineStatus("ready"))
        self.servers[model.name] = ScriptedModel(script=lambda _: [model.name, "says"])
        return served(model.name, self.servers[model.name], engine=self.made[model.name], memory_bytes=model.size_bytes)


@asynccontextmanager
async def ruled_house(
    shelves: Shelves, engines: Engines, notes: NodeNotes | None = None
) -> AsyncGenerator[tuple[Node, ScriptedModel]]:
    configured = ScriptedModel()
    catalogue = Catalogue((served("one", configured),))
    service = InferenceService(
        catalogue=catalogue, room=engines.room, make_installed=engines.make, warm_start=WarmStart(notes)
    )
    async with local_node(shelves, service) as node:
        yield node, configured


def person(node: Node, role: str) -> Context:
    return node.context(identity=user_identity(UserId(new_id()), roles=[role], permissions=["models:use"]))


async def names_for(node: Node, role: str) -> list[str]:
    return [model.name for model in (await person(node, role).call(MODELS, Nothing())).items]


async def until_names(node: Node, shelves: Shelves, shelf: Shelf, wanted: list[str]) -> None:
    """Put this on the shelf, say so, and wait until users have these models."""
    shelves.shelf = shelf
    await person(node, "user").broadcast(ModelsChanged())
    async with asyncio.timeout(10):
        while await names_for(node, "user") != wanted:
            await asyncio.sleep(0.01)
