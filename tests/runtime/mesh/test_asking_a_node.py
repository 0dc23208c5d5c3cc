"""Calls that are meant for one certain node."""

from collections.abc import AsyncIterator

import pytest

from fireside.contracts import node as contracts
from fireside.contracts.base import Nothing
from fireside.core.errors import FiresideError, UnauthenticatedError
from fireside.runtime.errors import ActionUnavailableError
from fireside.runtime.mesh import Node
from fireside.testing.mesh import MeshOfNodes, mesh_of_nodes

from .parts import WHERE, NotesService, Where


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


async def test_every_node_that_offers_an_action_is_called_this_one_first(mesh: MeshOfNodes, client: Node) -> None:
    await mesh.add("empty")
    both = await mesh.nodes["two"].context().call_each(WHERE, Nothing())
    afar = await client.context().call_each(WHERE, Nothing())

    assert [(node_id, told) for node_id, told in both.items()] == [
        ("two", Where(node="two")),
        ("one", Where(node="one")),
    ]
    assert list(afar) == ["one", "two"]


async def test_a_node_that_fails_is_told_of_beside_those_that_answer(mesh: MeshOfNodes, client: Node) -> None:
    mesh.lines["two"].cut = True

    found = await client.context().call_each(WHERE, Nothing())

    assert found["one"] == Where(node="one")
    assert isinstance(found["two"], FiresideError)


async def test_a_node_that_shares_out_its_own_calls_asks_itself_when_it_is_meant(mesh: MeshOfNodes) -> None:
    for name in ("one", "two"):
        await mesh.add(name, NotesService(name), prefer_local=False)

    assert {(await mesh.nodes["one"].ask("one", WHERE, Nothing())).node for _ in range(4)} == {"one"}
