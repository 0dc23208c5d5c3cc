"""An explore service on a node of its own, beside a server of models."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fireside.adapters.cache.memory import MemoryCache
from fireside.adapters.event_stream.outbox import OutboxEventStream
from fireside.adapters.model_files.folder import FolderModelFiles
from fireside.bootstrap.model_sources import make_model_sources
from fireside.contracts import explore
from fireside.contracts.jobs import JobView
from fireside.contracts.permissions import ROLES
from fireside.core.clock import SystemClock
from fireside.core.identity import user_identity
from fireside.core.ids import JobId, UserId, new_id
from fireside.runtime.caching import Cache
from fireside.runtime.context import Context
from fireside.runtime.durable import Database
from fireside.runtime.mesh import Node, Service
from fireside.runtime.metrics import Metrics
from fireside.services.explore import tables
from fireside.services.explore.service import ExploreService
from fireside.services.explore.settings import ExploreSettings
from fireside.testing.durable import QUICK, job_that_ended
from fireside.testing.mesh import local_node
from tests.databases import database_fixture
from tests.services.explore.servers import ModelServer, model_server

MIGRATIONS = Path(tables.__file__).parent / "migrations"
GIGABYTE = 1024**3


@dataclass
class Shop:
    """A running explore service and ways to talk to it."""

    node: Node
    service: ExploreService
    files: FolderModelFiles
    folder: Path

    @property
    def admin(self) -> Context:
        return self.as_role("admin")

    def as_role(self, role: str) -> Context:
        permissions = ROLES.get(role, ROLES["user"])
        return self.node.context(identity=user_identity(UserId(new_id()), roles=[role], permissions=permissions))

    async def begin(self, who: Context, source: str, **wish: Any) -> JobId:
        return (await who.call(explore.INSTALL, explore.InstallModel(source=source, **wish))).job_id

    async def ended(self, who: Context, job_id: JobId) -> JobView:
        return await job_that_ended(who, "explore", job_id)

    async def install(self, source: str, **wish: Any) -> JobView:
        who = self.admin
        return await self.ended(who, await self.begin(who, source, **wish))

    async def names(self, who: Context, **wish: Any) -> list[str]:
        return [item.name for item in (await who.call(explore.LIST, explore.ListModels(**wish))).items]

    async def change(self, name: str, **said: Any) -> explore.ModelView:
        return await self.admin.call(explore.CHANGE, explore.ChangeModel(name=name, **said))

    def visible(self) -> list[str]:
        """Digests of the files that can be seen."""
        return sorted(path.stem for path in self.folder.glob("models/??/*.gguf"))

    def drafts(self) -> list[Path]:
        return sorted(self.folder.glob("models/incoming/*.part"))


@asynccontextmanager
async def running_shop(
    folder: Path,
    server: ModelServer,
    *others: Service,
    url: str | None = None,
    memory_bytes: int = 64 * GIGABYTE,
    cache: Cache | None = None,
    **settings: Any,
) -> AsyncIterator[Shop]:
    places = {"hub_url": server.url, "registry_url": server.url, "index_url": f"{server.url}/simple"}
    limits = {"reserve_bytes": 0, "broken_pause_s": 0.01, "trusted_hosts": ("127.0.0.1",)}
    chosen = ExploreSettings(**(places | limits | settings))
    url = url or f"sqlite:///{folder}/explore.sqlite"
    database = Database(url, service="explore", migrations=MIGRATIONS, stream=OutboxEventStream(), settings=QUICK)
    files = FolderModelFiles(folder / "models")
    service = ExploreService(
        database=database,
        files=files,
        sources=make_model_sources(chosen, home=folder),
        settings=chosen,
        clock=SystemClock(),
        memory_bytes=lambda: memory_bytes,
        cache=cache or Cache(MemoryCache(), metrics=Metrics()),
    )
    async with local_node(service, *others) as node:
        yield Shop(node, service, files, folder)


database_url = database_fixture("explore", MIGRATIONS)


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with model_server() as server:
        yield server


@pytest.fixture
async def shop(tmp_path: Path, server: ModelServer, database_url: str) -> AsyncIterator[Shop]:
    async with running_shop(tmp_path, server, url=database_url) as shop:
        yield shop
