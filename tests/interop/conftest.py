"""A program with real Moleculer brokers, and a node of ours beside them, on each transporter and for each version."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import uuid4

import pytest
import pytest_asyncio

from fireside.bootstrap.transporters import make_transporter
from fireside.core.identity import Identity, user_identity
from fireside.core.ids import UserId, new_id
from fireside.runtime.mesh import MeshSettings, Node
from fireside.testing.mesh import TEST_CLUSTER_KEY, WAIT_S
from tests.brokers import remove_exchanges, shared_broker
from tests.needs import need_program

from .desk import FOREIGN_ECHO, JS_ECHO, Desk
from .node_program import NodeProgram

VERSIONS = {"0.14": "moleculer", "0.15": "moleculer-015"}
PROTOCOLS = {"0.14": "4", "0.15": "5"}
KINDS = [(transporter, version) for transporter in ("nats", "redis", "amqp") for version in VERSIONS]


@dataclass(frozen=True)
class Neighbours:
    """Brokers of the real Moleculer in one program: `js-1` and `js-2` have the cluster key, `stranger` has not."""

    program: NodeProgram
    url: str
    namespace: str
    version: str

    def new_program(self) -> NodeProgram:
        """Another process like it, with no brokers yet."""
        return NodeProgram(VERSIONS[self.version], self.url, self.namespace)

    def new_node(self, node_id: str, *, heartbeat_timeout_s: float = 10.0) -> Node:
        """A node of ours beside them, not started."""
        return Node(
            node_id=node_id,
            transporter=make_transporter(self.url, node_id=node_id, namespace=self.namespace),
            settings=MeshSettings(
                cluster_key=TEST_CLUSTER_KEY,
                protocol_version=PROTOCOLS[self.version],  # pyright: ignore[reportArgumentType]
                heartbeat_interval_s=0.5,
                heartbeat_timeout_s=heartbeat_timeout_s,
                foreign_actions=("foreign.*",),
                stop_timeout_s=5.0,
            ),
        )


@dataclass(frozen=True)
class Ours:
    """A started node of ours that sees the neighbours and is seen by them."""

    node: Node
    desk: Desk


@pytest_asyncio.fixture(loop_scope="module", scope="module", params=KINDS, ids=lambda kind: f"{kind[0]} {kind[1]}")
async def neighbours(request: pytest.FixtureRequest) -> AsyncIterator[Neighbours]:
    transporter, version = request.param
    need_program("node")
    url, namespace = shared_broker(transporter), f"test-{uuid4().hex[:12]}"
    program = NodeProgram(VERSIONS[version], url, namespace)
    key = TEST_CLUSTER_KEY.get_secret_value()
    try:
        await program.do("start", node="js-1", key=key, services=["js"], groups=["readers"])
        await program.do("start", node="js-2", key=key, services=["second"], groups=["readers"])
        await program.do("start", node="stranger", services=["foreign", "forbidden"])
        yield Neighbours(program, url, namespace, version)
    finally:
        for node in ("js-1", "js-2", "stranger"):
            await program.do("stop", node=node)
        program.close()
        await remove_exchanges(url, namespace)


@pytest_asyncio.fixture(loop_scope="module")
async def ours(neighbours: Neighbours) -> AsyncIterator[Ours]:
    desk, node = Desk(), neighbours.new_node(f"ours-{uuid4().hex[:8]}")
    node.add(desk)
    await node.start()
    assert await node.wait_for(JS_ECHO, FOREIGN_ECHO, timeout_s=WAIT_S)
    assert await node.wait_until(lambda: node.registry.find("js-2") is not None, timeout_s=WAIT_S)
    for name in ("js-1", "js-2", "stranger"):
        await neighbours.program.do("wait", node=name, actions=["desk.echo"])
    yield Ours(node, desk)
    await node.stop()


@pytest.fixture
def someone() -> Identity:
    return user_identity(UserId(new_id()), roles=["user"], permissions=["desk:read"], session_id=new_id())
