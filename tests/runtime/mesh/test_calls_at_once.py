"""Calls that arrive together: one that waits holds up none of the others, and each can be interrupted by itself."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from fireside.bootstrap.transporters import Transporters
from fireside.runtime.mesh import Node
from fireside.runtime.mesh.control import CANCEL
from fireside.testing.mesh import MeshOfNodes, eventually, mesh_of_nodes

from .outsider import Outsider
from .parts import HANG, WHERE, NotesService


@pytest.fixture
def transporters() -> Transporters:
    return Transporters()


@pytest.fixture
async def mesh(transporters: Transporters) -> AsyncIterator[MeshOfNodes]:
    async with mesh_of_nodes(lambda _: transporters.make("memory://")) as mesh:
        yield mesh


@pytest.fixture
def notes() -> NotesService:
    return NotesService("server")


@pytest.fixture
async def server(mesh: MeshOfNodes, notes: NotesService) -> Node:
    return await mesh.add("server", notes)


@pytest.fixture
async def outsider(server: Node, transporters: Transporters) -> AsyncIterator[Outsider]:
    line = transporters.make("memory://")
    outsider = Outsider(line)
    await outsider.connect()
    yield outsider
    await line.disconnect()


async def request(outsider: Outsider, call_id: str, action: Any) -> None:
    await outsider.send("REQ", "server", id=call_id, action=action.name, params={}, meta={})


async def cancel(outsider: Outsider, call_id: str) -> None:
    await outsider.send("EVENT", "server", event=CANCEL, data={"id": call_id}, broadcast=False)


async def test_calls_that_wait_hold_up_none_that_came_with_them(outsider: Outsider, notes: NotesService) -> None:
    for number, action in enumerate((WHERE, HANG, WHERE, HANG, WHERE)):
        await request(outsider, f"call-{number}", action)

    for number in (0, 2, 4):
        assert (await outsider.response(f"call-{number}"))["success"]
    assert not [packet for _, packet in outsider.packets if packet.get("id") in ("call-1", "call-3")]

    notes.release.set()
    for number in (1, 3):
        assert (await outsider.response(f"call-{number}"))["data"] == {"node": "server"}


async def test_a_call_that_is_cancelled_before_it_began_is_not_carried_out(
    outsider: Outsider, notes: NotesService
) -> None:
    await request(outsider, "unwanted", WHERE)
    await cancel(outsider, "unwanted")
    await request(outsider, "wanted", WHERE)

    assert (await outsider.response("wanted"))["success"]
    assert notes.calls == 1


async def test_cancelling_a_call_that_waits_leaves_those_that_came_with_it(
    outsider: Outsider, notes: NotesService
) -> None:
    for call_id, action in (("first", HANG), ("unwanted", HANG), ("last", HANG)):
        await request(outsider, call_id, action)
    await eventually(lambda: notes.calls == 3)

    await cancel(outsider, "unwanted")
    await eventually(notes.ended.is_set)
    notes.release.set()

    for call_id in ("first", "last"):
        assert (await outsider.response(call_id))["success"]
    await request(outsider, "after", WHERE)
    assert (await outsider.response("after"))["success"]
    assert not [packet for _, packet in outsider.packets if packet.get("id") == "unwanted"]
