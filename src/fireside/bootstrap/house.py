"""The house: one node with its services, started and stopped as a whole."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

from fireside.bootstrap.environment import read_settings
from fireside.bootstrap.parts import Parts
from fireside.bootstrap.secrets import cluster_key
from fireside.bootstrap.services import make_services
from fireside.bootstrap.transporters import make_transporter
from fireside.runtime.live import FollowingSettings, SettingsFollower
from fireside.runtime.mesh import MeshSettings, Node
from fireside.runtime.middleware.chain import Tools
from fireside.runtime.tracing import TracingSettings, make_tracing


@asynccontextmanager
async def open_house(parts: Parts, *, only: Sequence[str] | None = None) -> AsyncGenerator[Node, None]:
    """A started node with its services; it is stopped when the context is left.

    Args:
        parts: What services share.
        only: Names of the services to host; None hosts all.

    Raises:
        SettingsError: A setting is wrong; the text names it.
        UnavailableError: A database cannot be opened, or the broker refuses to carry facts.
    """
    settings = parts.settings
    node = Node(
        node_id=settings.node_id,
        transporter=make_transporter(settings.transport_url, node_id=settings.node_id, namespace=settings.namespace),
        settings=read_settings(MeshSettings, cluster_key=cluster_key(settings)),
        tools=Tools(
            metrics=parts.metrics,
            clock=parts.clock,
            cache=parts.cache,
            tracing=make_tracing(read_settings(TracingSettings), node_id=settings.node_id),
        ),
    )
    node.add(SettingsFollower(book=parts.book, settings=read_settings(FollowingSettings)))
    node.add(parts.meter)
    for service in make_services(parts, only):
        node.add(service)
    try:
        await parts.cache.open()
        await parts.stream.open()
        await node.start()
        yield node
    finally:
        await node.stop()
        await parts.stream.close()
        await parts.cache.aclose()
        if parts.windows is not None:
            await parts.windows.aclose()
        await parts.meter.counters.aclose()
