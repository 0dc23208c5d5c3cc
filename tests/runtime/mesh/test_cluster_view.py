"""What one node tells of all of them."""

from collections.abc import Mapping

from fireside.contracts import node
from fireside.contracts.base import Nothing
from fireside.contracts.node import Cluster
from fireside.core.identity import service_identity
from fireside.runtime.health import Check
from fireside.runtime.mesh import Node, Service
from fireside.testing.mesh import mesh_of_nodes


class Patient(Service):
    """A service that is as well as it is told to be."""

    name = "patient"

    async def health(self) -> Mapping[str, Check]:
        return {"pulse": Check("degraded", "slow")}


async def cluster_of(one: Node) -> Cluster:
    return await one.context(identity=service_identity("test")).call(node.CLUSTER, Nothing())


async def test_every_node_is_asked_how_it_is() -> None:
    async with mesh_of_nodes() as mesh:
        one, _ = await mesh.add("one"), await mesh.add("two", Patient())

        here, there = (await cluster_of(one)).nodes

        assert (here.id, here.status, here.local) == ("one", "ok", True)
        assert (there.id, there.status, there.local) == ("two", "degraded", False)
        assert [(check.name, check.detail) for check in there.checks if check.status != "ok"] == [
            ("patient.pulse", "slow")
        ]
        assert "patient" in there.services


async def test_a_node_that_does_not_answer_has_failed() -> None:
    async with mesh_of_nodes() as mesh:
        one, _ = await mesh.add("one"), await mesh.add("two")
        mesh.kill("two")

        _, there = (await cluster_of(one)).nodes

        assert there.status == "failed"
        assert there.checks[0].detail
