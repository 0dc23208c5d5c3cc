"""Calls that are meant for one certain node."""

from collections.abc import AsyncIterator

import pytest

from fireside.contracts import node as contracts
from fireside.contracts.base import Nothing
from fireside.core.errors import UnauthenticatedError
from fireside.runtime.errors import ActionUnavailableError
from fireside.runtime.mesh import Node
from fireside.testing.mesh import MeshOfNodes, mesh_of_nodes

from .parts import WHERE, NotesService


@pytest.fixture
async def mesh() -> AsyncIterator[MeshOfNodes]:
    async with mesh_of_nodes() as mesh:
        yield mesh


@pytest.fixture
async def client(mesh: MeshOfNodes) -> Node:
    for name in ("one", "two"):
        await mesh.add(name, NotesService(name))
    return await mesh.add("client")


@pytest.mark.parametrize("node_id", ["one", "two", "client"])
async def test_every_node_tells_what_it_is_itself(client: Node, node_id: str) -> None:
    nodes = await client.ask(node_id, contracts.LIST, Nothing())

    assert [node.id for node in nodes if node.local] == [node_id]


async def test_a_call_for_one_node_goes_to_no_other(mesh: MeshOfNodes, client: Node) -> None:
    assert [(await client.ask("two", WHERE, Nothing())).node for _ in range(3)] == ["two"] * 3

    await mesh.stop("two")

    with pytest.raises(ActionUnavailableError, match="no node is called two"):
        await client.ask("two", WHERE, Nothing())


async def test_what_the_node_does_not_offer_is_not_looked_for_elsewhere(mesh: MeshOfNodes, client: Node) -> None:
    await mesh.add("empty")

    with pytest.raises(ActionUnavailableError, match="node empty does not offer it"):
        await client.ask("empty", WHERE, Nothing())


async def test_the_asked_node_sees_who_asks(client: Node) -> None:
    with pytest.raises(UnauthenticatedError):
        await client.ask("one", contracts.LIST, Nothing(), context=client.context())
