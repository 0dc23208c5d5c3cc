"""Nodes for tests: one by itself, or several that see each other over `memory://` or any other transporter."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

from pydantic import SecretStr

from fireside.bootstrap.transporters import Transporters, make_transporter
from fireside.ports.transporter import Receiver, Transporter, TransporterError
from fireside.runtime.mesh import MeshSettings, Node, Service, Tools

TEST_CLUSTER_KEY = SecretStr("a cluster key for tests, of no worth elsewhere")
WAIT_S = 30.0
"""How long tests wait for something that should come at once."""


@asynccontextmanager
async def local_node(*services: Service) -> AsyncGenerator[Node]:
    """A started node over `memory://` that hosts the services and sees no other node."""
    node = Node(
        node_id="test-node",
        transporter=make_transporter("memory://"),
        settings=MeshSettings(cluster_key=TEST_CLUSTER_KEY, stop_timeout_s=5.0),
    )
    for service in services:
        node.add(service)
    try:
        await node.start()
        yield node
    finally:
        await node.stop()


class FragileTransporter:
    """A transporter for tests that notes what it sends.

    Attributes:
        cut: Nothing goes in or out any more, and nobody is told: the node seems to have died.
        deaf_to: Commands that do not arrive.
        refuses: Commands that cannot be sent.
        sent: Command, receiving node (None for all) and packet of everything sent.
    """

    def __init__(self, inner: Transporter) -> None:
        self._inner = inner
        self._receive: Receiver | None = None
        self._on_reconnect: Callable[[], None] | None = None
        self.cut = False
        self.deaf_to: set[str] = set()
        self.refuses: set[str] = set()
        self.sent: list[tuple[str, str | None, bytes]] = []

    async def connect(self, receive: Receiver, *, on_reconnect: Callable[[], None]) -> None:
        """Connect the line."""
        self._receive, self._on_reconnect = receive, on_reconnect
        await self._inner.connect(self._hand_on, on_reconnect=on_reconnect)

    async def subscribe(self, command: str, *, node_id: str | None = None) -> None:
        """Subscribe on the line."""
        await self._inner.subscribe(command, node_id=node_id)

    async def publish(self, command: str, packet: bytes, *, node_id: str | None = None) -> None:
        """Send over the line; into nowhere when it is cut."""
        if command in self.refuses:
            raise TransporterError(f"{command} cannot be sent", node_id=node_id)
        self.sent.append((command, node_id, packet))
        if not self.cut:
            await self._inner.publish(command, packet, node_id=node_id)

    def come_back(self) -> None:
        """Be a line that was lost and is drawn anew: nothing is cut any more, and the node is told."""
        self.cut = False
        self.deaf_to.clear()
        if self._on_reconnect is not None:
            self._on_reconnect()

    async def disconnect(self) -> None:
        """Let the line go."""
        await self._inner.disconnect()

    def _hand_on(self, command: str, packet: bytes) -> None:
        if not self.cut and command not in self.deaf_to and self._receive is not None:
            self._receive(command, packet)


class MeshOfNodes:
    """Several nodes in one process, each with its own line; they are stopped with the context that made them."""

    def __init__(self, make: Callable[[str], Transporter]) -> None:
        self._make = make
        self.started: list[Node] = []
        self.nodes: dict[str, Node] = {}
        self.lines: dict[str, FragileTransporter] = {}

    async def add(self, node_id: str, *services: Service, tools: Tools | None = None, **settings: Any) -> Node:
        """Start a node and wait until all that can see each other do.

        Args:
            node_id: Its name.
            services: What it hosts.
            tools: As for any node.
            settings: Of MeshSettings; the cluster key is that of all others unless given.
        """
        defaults: dict[str, Any] = {
            "cluster_key": TEST_CLUSTER_KEY,
            "stop_timeout_s": 5.0,
            "heartbeat_interval_s": 0.05,
            "heartbeat_timeout_s": 0.5,
            "absence_wait_s": 0.0,
        }
        line = FragileTransporter(self._make(node_id))
        node = Node(node_id=node_id, transporter=line, settings=MeshSettings(**{**defaults, **settings}), tools=tools)
        for service in services:
            node.add(service)
        self.started.append(node)
        self.nodes[node_id], self.lines[node_id] = node, line
        await node.start()
        for other in self.nodes.values():
            await self._until_seen(other, node)
            await self._until_seen(node, other)
        return node

    async def stop(self, node_id: str) -> None:
        """Have a node leave gracefully."""
        await self.nodes.pop(node_id).stop()

    def kill(self, node_id: str) -> None:
        """Cut a node's line, so that it neither hears nor is heard."""
        self.lines[node_id].cut = True
        del self.nodes[node_id]

    async def _until_seen(self, seer: Node, seen: Node) -> None:
        if seer is seen:
            return
        offered = {service.name for service in seen.describe()}

        def sees() -> bool:
            known = seer.registry.find(seen.node_id)
            return known is not None and {service.name for service in known.info.services} == offered

        assert await seer.wait_until(sees, timeout_s=WAIT_S), f"{seer.node_id} does not see {seen.node_id}"  # noqa: S101 - a helper of tests


@asynccontextmanager
async def mesh_of_nodes(make: Callable[[str], Transporter] | None = None) -> AsyncGenerator[MeshOfNodes]:
    """A mesh to which nodes are added, over `memory://` or over what `make` gives each for its node id."""
    transporters = Transporters()
    mesh = MeshOfNodes(make or (lambda node_id: transporters.make("memory://", node_id=node_id)))
    try:
        yield mesh
    finally:
        for node in reversed(mesh.started):
            await node.stop()


async def eventually(holds: Callable[[], bool], *, timeout_s: float = WAIT_S) -> None:
    """Wait until something holds, giving way to other tasks meanwhile.

    Raises:
        TimeoutError: It did not come to hold.
    """
    async with asyncio.timeout(timeout_s):
        while not holds():  # noqa: ASYNC110 - what is waited for tells nobody when it comes
            await asyncio.sleep(0.001)
