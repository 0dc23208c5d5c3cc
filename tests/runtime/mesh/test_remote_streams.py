import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from fireside.contracts.base import StreamAction
from fireside.core.errors import DeadlineExceededError, UnauthenticatedError
from fireside.runtime.errors import ActionUnavailableError, NodeLostError, NodeStoppedError
from fireside.runtime.mesh import Node
from fireside.testing.mesh import MeshOfNodes, eventually, mesh_of_nodes

from .parts import NUMBERS, Count, NotesService, Number, TooOddError, a_user


@pytest.fixture
async def mesh() -> AsyncIterator[MeshOfNodes]:
    async with mesh_of_nodes() as mesh:
        yield mesh


@pytest.fixture
def notes() -> NotesService:
    return NotesService("server")


@pytest.fixture
async def client(mesh: MeshOfNodes, notes: NotesService) -> Node:
    await mesh.add("server", notes)
    return await mesh.add("client", stream_window=8)


async def test_a_remote_stream_gives_all_items_in_order(client: Node) -> None:
    items = [item async for item in client.context(identity=a_user()).stream(NUMBERS, Count(upto=500))]

    assert items == [Number(value=value) for value in range(500)]


async def test_an_empty_remote_stream_just_ends(client: Node) -> None:
    items = [item async for item in client.context(identity=a_user()).stream(NUMBERS, Count(upto=0))]

    assert items == []


async def test_a_remote_producer_never_runs_further_ahead_than_the_window(client: Node, notes: NotesService) -> None:
    taken = 0
    async with aclosing(client.context(identity=a_user()).stream(NUMBERS, Count(upto=1000))) as items:
        async for _ in items:
            taken += 1
            if taken in {1, 20, 50}:
                await settled(notes)
                assert taken <= notes.produced <= taken + 8 + 1
            if taken == 60:
                break

    await asyncio.wait_for(notes.ended.wait(), 5)
    assert notes.produced < 100


async def test_an_error_in_mid_stream_arrives_after_the_items_before_it(client: Node) -> None:
    got: list[int] = []
    with pytest.raises(TooOddError, match="7 is odd"):
        await collect(client.context(identity=a_user()).stream(NUMBERS, Count(upto=20, fail_at=7)), got)

    assert got == list(range(7))


async def test_closing_a_remote_stream_stops_its_producer(client: Node, notes: NotesService) -> None:
    stream = client.context(identity=a_user()).stream(NUMBERS, Count(upto=10_000))
    assert (await anext(stream)).value == 0

    await stream.aclose()

    await asyncio.wait_for(notes.ended.wait(), 5)
    assert notes.produced < 100


async def test_cancelling_the_consumer_stops_the_remote_producer(client: Node, notes: NotesService) -> None:
    async def consume() -> None:
        async for _ in client.context(identity=a_user()).stream(NUMBERS, Count(upto=3, fail_at=-1)):
            pass

    task = asyncio.create_task(consume())
    await asyncio.wait_for(notes.hanging.wait(), 5)

    task.cancel()

    await asyncio.wait_for(notes.ended.wait(), 5)
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_stream_whose_next_item_does_not_come_in_time_fails_and_stops(
    client: Node, notes: NotesService
) -> None:
    got: list[int] = []
    request = Count(upto=3, fail_at=-1)
    with pytest.raises(DeadlineExceededError):
        await collect(client.context(identity=a_user()).stream(NUMBERS, request, timeout_s=0.1), got)

    assert got == [0, 1, 2]
    await asyncio.wait_for(notes.ended.wait(), 5)


async def test_a_stream_breaks_clearly_when_its_node_dies(mesh: MeshOfNodes, client: Node) -> None:
    stream = client.context(identity=a_user()).stream(NUMBERS, Count(upto=3, fail_at=-1), timeout_s=20)
    got = [(await anext(stream)).value for _ in range(3)]

    mesh.kill("server")

    with pytest.raises(NodeLostError, match="server"):
        await anext(stream)
    assert got == [0, 1, 2]


async def test_an_idempotent_stream_begins_again_elsewhere_while_nothing_was_delivered(mesh: MeshOfNodes) -> None:
    again = StreamAction("notes.numbers", Count, Number, access="signed-in", idempotent=True)
    services = {name: NotesService(name) for name in ("one", "two")}
    for name, service in services.items():
        await mesh.add(name, service)
    client = await mesh.add("client")

    async def consume() -> list[int]:
        request = Count(upto=0, fail_at=-1)
        return [item.value async for item in client.context(identity=a_user()).stream(again, request, timeout_s=20)]

    task = asyncio.create_task(consume())
    await eventually(lambda: any(service.hanging.is_set() for service in services.values()))
    first = next(name for name, service in services.items() if service.hanging.is_set())
    second = "two" if first == "one" else "one"
    services[second].release.set()

    mesh.kill(first)

    assert await task == []
    assert services[second].ended.is_set()


async def test_a_stream_in_progress_is_finished_by_a_leaving_node(mesh: MeshOfNodes) -> None:
    notes = NotesService()
    server = await mesh.add("server", notes)
    client = await mesh.add("client", stream_window=4)
    stream = client.context(identity=a_user()).stream(NUMBERS, Count(upto=200))
    got = [(await anext(stream)).value]

    stop = asyncio.create_task(server.stop())
    got += [item.value async for item in stream]

    assert got == list(range(200))
    await stop


async def test_a_stream_that_does_not_end_in_time_is_interrupted_by_a_leaving_node(mesh: MeshOfNodes) -> None:
    notes = NotesService()
    server = await mesh.add("server", notes, stop_timeout_s=0.0)
    client = await mesh.add("client")
    stream = client.context(identity=a_user()).stream(NUMBERS, Count(upto=2, fail_at=-1), timeout_s=20)
    got = [(await anext(stream)).value, (await anext(stream)).value]

    await server.stop()

    with pytest.raises(NodeStoppedError, match="server"):
        await anext(stream)
    assert got == [0, 1]


async def test_access_to_a_stream_is_checked_on_the_serving_node(client: Node, notes: NotesService) -> None:
    with pytest.raises(UnauthenticatedError):
        await anext(client.context().stream(NUMBERS, Count(upto=1)))

    assert notes.produced == 0


async def test_a_stream_that_nobody_offers_is_unavailable(client: Node) -> None:
    absent = StreamAction("nowhere.items", Count, Number, access="public")

    with pytest.raises(ActionUnavailableError):
        await anext(client.context().stream(absent, Count(upto=1)))


async def test_a_stream_on_the_wire_is_as_moleculer_has_it(mesh: MeshOfNodes, client: Node) -> None:
    async for _ in client.context(identity=a_user()).stream(NUMBERS, Count(upto=2)):
        pass

    packets = [json.loads(packet) for command, _, packet in mesh.lines["server"].sent if command == "RES"]
    assert [(packet["seq"], packet["stream"], packet.get("data")) for packet in packets] == [
        (0, True, None),
        (1, True, {"value": 0}),
        (2, True, {"value": 1}),
        (3, False, None),
    ]
    assert all(packet["meta"]["$streamObjectMode"] for packet in packets)
    assert len({packet["id"] for packet in packets}) == 1


async def collect(stream: AsyncIterator[Number], into: list[int]) -> None:
    async for item in stream:
        into.append(item.value)


async def settled(notes: NotesService) -> None:
    """Wait until the producer has gone as far as it may."""
    before = -1
    while before != notes.produced:
        before = notes.produced
        for _ in range(50):
            await asyncio.sleep(0)
