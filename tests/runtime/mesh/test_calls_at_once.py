"""Calls that arrive together: one that waits holds up none of the others, and each can be interrupted by itself."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from fireside.bootstrap.transporters import Transporters
from fireside.contracts.base import Nothing
from fireside.runtime.mesh import Context, Node, action
from fireside.runtime.mesh.control import CANCEL
from fireside.testing.mesh import MeshOfNodes, eventually, mesh_of_nodes

from .outsider import Outsider
from .parts import HANG, WHERE, NotesService, Where


@pytest.fixture
def transporters() -> Transporters:
    return Transporters()


@pytest.fixture
async def mesh(transporters: Transporters) -> AsyncIterator[MeshOfNodes]:
    async with mesh_of_nodes(lambda _: transporters.make("memory://")) as mesh:
        yield mesh


class CountingNotes(NotesService):
    """Remembers how often the tasks in which its calls ran had been cancelled before."""

    def __init__(self) -> None:
        super().__init__("server")
        self.cancellations: list[int] = []

    @action(WHERE)
    async def where(self, context: Context, request: Nothing) -> Where:
        task = asyncio.current_task()
        self.cancellations.append(0 if task is None else task.cancelling())
        return await super().where(context, request)


@pytest.fixture
def notes() -> CountingNotes:
    return CountingNotes()


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


async def request(outsider: Outsider, call_id: str, called: Any) -> None:
    await outsider.send("REQ", "server", id=call_id, action=called.name, params={}, meta={})


async def cancel(outsider: Outsider, call_id: str) -> None:
    await outsider.send("EVENT", "server", event=CANCEL, data={"id": call_id}, broadcast=False)


async def test_calls_that_wait_hold_up_none_that_came_with_them(outsider: Outsider, notes: NotesService) -> None:
    for number, called in enumerate((WHERE, HANG, WHERE, HANG, WHERE)):
        await request(outsider, f"call-{number}", called)

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
    for call_id, called in (("first", HANG), ("unwanted", HANG), ("last", HANG)):
        await request(outsider, call_id, called)
    await eventually(lambda: notes.calls == 3)

    await cancel(outsider, "unwanted")
    await eventually(notes.ended.is_set)
    notes.release.set()

    for call_id in ("first", "last"):
        assert (await outsider.response(call_id))["success"]
    await request(outsider, "after", WHERE)
    assert (await outsider.response("after"))["success"]
    assert not [packet for _, packet in outsider.packets if packet.get("id") == "unwanted"]


async def test_a_call_never_runs_in_the_task_of_one_that_was_interrupted(
    outsider: Outsider, notes: CountingNotes
) -> None:
    await request(outsider, "unwanted", HANG)
    await eventually(notes.hanging.is_set)

    await cancel(outsider, "unwanted")
    await request(outsider, "wanted", WHERE)

    assert (await outsider.response("wanted"))["success"]
    assert notes.ended.is_set()
    assert notes.cancellations == [0]
