import asyncio
import json
from collections.abc import AsyncIterator
from typing import ClassVar

import pytest
from pydantic import SecretStr

from fireside.contracts.base import Signal
from fireside.core.identity import Identity
from fireside.runtime.mesh import Context, Service, on_signal
from fireside.testing.mesh import FragileTransporter, MeshOfNodes, eventually, local_node, mesh_of_nodes

from .parts import DiaryService, NotesService, Told, a_user


class Untold(Signal):
    topic: ClassVar[str] = "notes.untold"


class Listener(Service):
    name = "listener"

    def __init__(self) -> None:
        self.identities: list[Identity] = []
        self.request_ids: list[str] = []
        self.texts: list[str] = []
        self.gate = asyncio.Event()
        self.waiting = False

    @on_signal(Told)
    async def told(self, context: Context, signal: Told) -> None:
        self.waiting = True
        await self.gate.wait()
        if signal.text == "bad":
            raise ValueError("cannot take it")
        self.identities.append(context.identity)
        self.request_ids.append(context.request_id)
        self.texts.append(signal.text)


class Silent(Service):
    name = "silent"
    heard = 0

    @on_signal(Untold)
    async def untold(self, context: Context, signal: Untold) -> None:
        self.heard += 1


@pytest.fixture
async def mesh() -> AsyncIterator[MeshOfNodes]:
    async with mesh_of_nodes() as mesh:
        yield mesh


async def test_a_broadcast_reaches_every_handler_on_every_node(mesh: MeshOfNodes) -> None:
    notes = [NotesService(f"n{number}") for number in range(3)]
    diary = DiaryService("n0")
    await mesh.add("n0", notes[0], diary)
    await mesh.add("n1", notes[1])
    node = await mesh.add("n2", notes[2])

    await node.context().broadcast(Told(text="hello"))

    await eventually(lambda: all(service.signals == ["hello"] for service in [*notes, diary]))


async def test_an_emitted_signal_reaches_one_node_of_each_group_evenly(mesh: MeshOfNodes) -> None:
    notes = [NotesService(f"n{number}") for number in range(2)]
    diaries = [DiaryService(f"n{number}") for number in range(2)]
    for number in range(2):
        await mesh.add(f"n{number}", notes[number], diaries[number])
    client = await mesh.add("client")

    for number in range(10):
        await client.context().emit(Told(text=str(number)))

    await eventually(lambda: sum(len(service.signals) for service in [*notes, *diaries]) == 20)
    assert [len(service.signals) for service in notes] == [5, 5]
    assert [len(service.signals) for service in diaries] == [5, 5]
    assert sorted(notes[0].signals + notes[1].signals, key=int) == [str(number) for number in range(10)]


async def test_an_emitted_signal_stays_here_where_a_group_listens_here(mesh: MeshOfNodes) -> None:
    far, near, diary = NotesService("far"), NotesService("near"), DiaryService("far")
    await mesh.add("far", far, diary)
    node = await mesh.add("near", near)

    for _ in range(4):
        await node.context().emit(Told(text="x"))

    await eventually(lambda: len(near.signals) == 4 and len(diary.signals) == 4)
    assert far.signals == []


async def test_only_the_named_groups_are_given_an_emitted_signal(mesh: MeshOfNodes) -> None:
    notes, diary = NotesService("far"), DiaryService("far")
    await mesh.add("far", notes, diary)
    client = await mesh.add("client")

    await client.context().emit(Told(text="one"), groups=["diary"])
    await client.context().emit(Told(text="two"), groups=["nobody"])
    await client.context().broadcast(Told(text="three"))

    await eventually(lambda: len(diary.signals) == 2)
    assert diary.signals == ["one", "three"]
    assert notes.signals == ["three"]


async def test_a_handler_learns_who_sent_the_signal_and_for_which_request(mesh: MeshOfNodes) -> None:
    listener, user = Listener(), a_user()
    listener.gate.set()
    await mesh.add("far", listener)
    client = await mesh.add("client")

    await client.context(identity=user, request_id="r-9").broadcast(Told(text="x"))

    await eventually(lambda: listener.texts == ["x"])
    assert listener.identities == [user]
    assert listener.request_ids == ["r-9"]


async def test_signals_keep_their_order_and_survive_a_failing_handler() -> None:
    listener = Listener()
    listener.gate.set()
    async with local_node(listener) as node:
        for text in ["a", "bad", "b", "c"]:
            await node.context().broadcast(Told(text=text))
        await eventually(lambda: len(listener.texts) == 3)

    assert listener.texts == ["a", "b", "c"]


async def test_a_full_mailbox_drops_the_oldest_signals_and_counts_them(mesh: MeshOfNodes) -> None:
    listener = Listener()
    node = await mesh.add("here", listener, signal_mailbox=3)
    await node.context().broadcast(Told(text="first"))
    await eventually(lambda: listener.waiting)

    for number in range(10):
        await node.context().broadcast(Told(text=str(number)))
    listener.gate.set()

    await eventually(lambda: len(listener.texts) == 4)
    assert listener.texts == ["first", "7", "8", "9"]
    assert (
        node.tools.metrics.registry.get_sample_value("fireside_mesh_signals_dropped_total", {"topic": "notes.told"})
        == 7
    )


async def test_a_signal_that_nobody_listens_to_goes_nowhere(mesh: MeshOfNodes) -> None:
    await mesh.add("far", NotesService("far"))
    client = await mesh.add("client")

    await client.context().broadcast(Untold())

    assert not any(command == "EVENT" for command, _, _ in mesh.lines["client"].sent)


async def test_signals_of_a_node_without_the_cluster_key_are_not_handled(mesh: MeshOfNodes) -> None:
    notes = NotesService("ours")
    node = await mesh.add("ours", notes)
    await mesh.add("stranger", NotesService("theirs"), cluster_key=SecretStr("another key"))
    packet = {"ver": "4", "sender": "stranger", "event": "notes.told", "data": {"text": "x"}, "broadcast": True}

    await send(mesh.lines["stranger"], packet, to="ours")
    await node.context().broadcast(Told(text="y"))

    await eventually(lambda: notes.signals == ["y"])
    assert dropped(node, "untrusted_event") == 1
    assert not any(command == "EVENT" for command, _, _ in mesh.lines["ours"].sent)


async def test_events_that_are_allowed_to_be_foreign_are_exchanged_without_a_token(mesh: MeshOfNodes) -> None:
    notes, theirs = NotesService("ours"), NotesService("theirs")
    node = await mesh.add("ours", notes, foreign_events=["notes.*"])
    await mesh.add("stranger", theirs, cluster_key=SecretStr(""), foreign_events=["notes.*"])
    packet = {"ver": "5", "sender": "stranger", "event": "notes.told", "data": {"text": "x"}, "broadcast": True}

    await send(mesh.lines["stranger"], packet, to="ours")
    await node.context(identity=a_user()).broadcast(Told(text="y"))

    await eventually(lambda: notes.signals == ["y", "x"] or notes.signals == ["x", "y"])
    await eventually(lambda: theirs.signals == ["y"])
    (sent,) = [json.loads(packet) for command, _, packet in mesh.lines["ours"].sent if command == "EVENT"]
    assert sent["meta"] == {}


async def test_a_signal_without_fields_needs_no_data(mesh: MeshOfNodes) -> None:
    listener = Silent()
    await mesh.add("ours", listener, foreign_events=["notes.*"])
    await mesh.add("client")

    packet: dict[str, object] = {"ver": "4", "sender": "client", "event": "notes.untold", "data": None}
    await send(mesh.lines["client"], packet, to="ours")

    await eventually(lambda: listener.heard == 1)


async def test_a_signal_that_does_not_fit_its_contract_is_dropped(mesh: MeshOfNodes) -> None:
    notes = NotesService("ours")
    node = await mesh.add("ours", notes, foreign_events=["notes.*"])
    client = await mesh.add("client")
    packet = {"ver": "4", "sender": "client", "event": "notes.told", "data": {"words": "x"}}

    await send(mesh.lines["client"], packet, to="ours")
    await client.context().broadcast(Told(text="good"))

    await eventually(lambda: notes.signals == ["good"])
    assert dropped(node, "malformed_event") == 1


async def send(line: FragileTransporter, packet: dict[str, object], *, to: str) -> None:
    await line.publish("EVENT", json.dumps(packet).encode(), node_id=to)


def dropped(node: object, reason: str) -> float | None:
    return node.tools.metrics.registry.get_sample_value(  # type: ignore[attr-defined]
        "fireside_mesh_packets_dropped_total", {"reason": reason}
    )
