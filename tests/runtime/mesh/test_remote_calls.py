import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from fireside.contracts.base import Action, Nothing
from fireside.core.errors import (
    DeadlineExceededError,
    ForbiddenError,
    InternalError,
    InvalidInputError,
    UnauthenticatedError,
    UpstreamError,
)
from fireside.runtime.errors import ActionUnavailableError, NodeLostError, NodeStoppedError
from fireside.runtime.mesh import Node
from fireside.testing.mesh import MeshOfNodes, eventually, mesh_of_nodes

from .parts import (
    CRASH,
    ECHO,
    HANG,
    REFUSE,
    REMAINING,
    WHERE,
    WHERE_ONCE,
    WHO,
    Note,
    NotesService,
    Number,
    TooOddError,
    Where,
    a_user,
)


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
    return await mesh.add("client")


async def test_a_remote_call_shares_no_object_with_its_caller(client: Node, notes: NotesService) -> None:
    request = Note(text="Grüße 🔥", data=b"\x00\xff", tags=("a", "b"))

    response = await client.context(identity=a_user()).call(ECHO, request)

    assert response == request
    assert response is not request
    assert notes.requests == [request]
    assert notes.requests[0] is not request
    assert notes.requests[0].tags is not request.tags


async def test_a_remote_call_carries_request_id_identity_caller_and_deadline(client: Node, notes: NotesService) -> None:
    user = a_user()

    await client.context(identity=user, request_id="r-7").call(ECHO, Note(text="x"), timeout_s=3.0)

    seen = notes.contexts[0]
    assert (seen.request_id, seen.identity, seen.action) == ("r-7", user, "notes.echo")
    assert seen.identity is not user
    assert seen.remaining_s is not None
    assert 0 < seen.remaining_s <= 3.0


async def test_the_deadline_of_the_outer_call_bounds_the_remote_one(client: Node) -> None:
    root = client.context(identity=a_user())
    nearly_over = root.for_call(WHERE, 1.5)

    remaining = await nearly_over.call(REMAINING, Nothing(), timeout_s=60.0)

    assert 0 < float(remaining.text) <= 1.5


async def test_a_remote_error_is_rebuilt_as_its_own_class(client: Node) -> None:
    with pytest.raises(TooOddError, match="3 is odd") as caught:
        await client.context(identity=a_user()).call(REFUSE, Number(value=3))

    assert caught.value.details["value"] == 3
    assert caught.value.status == 409


async def test_a_crash_on_another_node_tells_nothing_of_its_inside(mesh: MeshOfNodes, client: Node) -> None:
    with pytest.raises(InternalError) as caught:
        await client.context(identity=a_user()).call(CRASH, Nothing())

    assert "private" not in str(caught.value)
    assert not any(b"private" in packet for _, _, packet in mesh.lines["server"].sent)


@pytest.mark.requirement("P1")
async def test_access_is_checked_on_the_serving_node(client: Node) -> None:
    user = client.context(identity=a_user())

    with pytest.raises(UnauthenticatedError):
        await client.context().call(ECHO, Note(text="x"))
    with pytest.raises(ForbiddenError):
        await user.call(WHO, Nothing())
    assert (await user.as_service("chat").call(WHO, Nothing())).text == f"chat for {user.identity.user_id}"


async def test_a_request_that_does_not_fit_the_contract_is_refused_by_the_serving_node(client: Node) -> None:
    other_echo = Action("notes.echo", Number, Number, access="signed-in")

    with pytest.raises(InvalidInputError) as caught:
        await client.context(identity=a_user()).call(other_echo, Number(value=1))

    assert caught.value.details["errors"] == [{"loc": ["text"], "type": "missing", "msg": "Field required"}]


async def test_a_response_that_does_not_fit_the_contract_is_an_upstream_error(client: Node) -> None:
    other_where = Action("notes.where", Nothing, Number, access="public")

    with pytest.raises(UpstreamError, match=r"notes\.where"):
        await client.context().call(other_where, Nothing())


async def test_a_remote_call_that_takes_too_long_fails_and_stops_the_work(client: Node, notes: NotesService) -> None:
    with pytest.raises(DeadlineExceededError):
        await client.context().call(HANG, Nothing(), timeout_s=0.05)

    await asyncio.wait_for(notes.ended.wait(), 5)


async def test_cancelling_a_call_stops_the_work_on_the_other_node(client: Node, notes: NotesService) -> None:
    call = asyncio.create_task(client.context().call(HANG, Nothing()))
    await asyncio.wait_for(notes.hanging.wait(), 5)

    call.cancel()

    await asyncio.wait_for(notes.ended.wait(), 5)
    with pytest.raises(asyncio.CancelledError):
        await call


@pytest.mark.requirement("P3")
async def test_calls_are_spread_evenly_over_the_nodes_that_offer_the_action(mesh: MeshOfNodes) -> None:
    services = [NotesService(f"n{number}") for number in range(3)]
    for service in services:
        await mesh.add(service.node, service)
    client = await mesh.add("client")

    for _ in range(30):
        await client.context().call(WHERE, Nothing())

    assert [service.calls for service in services] == [10, 10, 10]


async def test_an_action_that_is_offered_here_is_called_here(mesh: MeshOfNodes) -> None:
    far, near = NotesService("far"), NotesService("near")
    await mesh.add("far", far)
    node = await mesh.add("near", near)

    answers = {(await node.context().call(WHERE, Nothing())).node for _ in range(4)}

    assert answers == {"near"}


async def test_without_preference_for_local_all_nodes_take_their_turn(mesh: MeshOfNodes) -> None:
    far, near = NotesService("far"), NotesService("near")
    await mesh.add("far", far)
    node = await mesh.add("near", near, prefer_local=False)

    for _ in range(10):
        await node.context().call(WHERE, Nothing())

    assert (far.calls, near.calls) == (5, 5)


async def test_a_sharded_action_goes_to_the_same_node_for_the_same_key(mesh: MeshOfNodes) -> None:
    services = [NotesService(f"n{number}") for number in range(3)]
    for service in services:
        await mesh.add(service.node, service, shard_keys={"notes.echo": "text"})
    clients = [mesh.nodes["n0"], await mesh.add("client", shard_keys={"notes.echo": "text"})]

    for client in clients:
        for key in range(40):
            await client.context(identity=a_user()).call(ECHO, Note(text=f"key {key}"))

    owners = [{note.text for note in service.requests} for service in services]
    assert sum(len(owned) for owned in owners) == 40
    assert all(owners)


@pytest.mark.requirement("P3")
async def test_a_call_in_progress_fails_over_when_its_node_dies(mesh: MeshOfNodes) -> None:
    one, two = NotesService("one"), NotesService("two")
    await mesh.add("one", one)
    await mesh.add("two", two)
    client = await mesh.add("client")
    call = asyncio.create_task(client.context().call(HANG, Nothing()))
    await eventually(lambda: one.hanging.is_set() or two.hanging.is_set())
    first, second = (one, two) if one.hanging.is_set() else (two, one)

    mesh.kill(first.node)
    second.release.set()

    assert await call == Where(node=second.node)


@pytest.mark.requirement("P20")
@pytest.mark.parametrize("whose", ["client", "server"])
async def test_a_call_whose_answer_went_with_a_line_is_made_again_when_the_line_is_back(
    mesh: MeshOfNodes, whose: str
) -> None:
    server = NotesService("server")
    await mesh.add("server", server)
    client = await mesh.add("client")
    call = asyncio.create_task(client.context().call(HANG, Nothing()))
    await asyncio.wait_for(server.hanging.wait(), 5)
    mesh.lines[whose].cut = True
    server.release.set()
    await eventually(lambda: any(command == "RES" for command, _, _ in mesh.lines["server"].sent))

    mesh.lines[whose].come_back()

    assert await asyncio.wait_for(call, 5) == Where(node="server")


async def test_a_call_that_may_not_be_repeated_fails_clearly_when_its_node_dies(mesh: MeshOfNodes) -> None:
    once = Action("notes.hang", Nothing, Where, access="public", timeout_s=20.0)
    server, spare = NotesService("server"), NotesService("spare")
    await mesh.add("server", server)
    client = await mesh.add("client")
    call = asyncio.create_task(client.context().call(once, Nothing()))
    await asyncio.wait_for(server.hanging.wait(), 5)
    await mesh.add("spare", spare)

    mesh.kill("server")

    with pytest.raises(NodeLostError, match="server"):
        await call
    assert spare.calls == 0


@pytest.mark.requirement("P3")
async def test_a_dead_node_leaves_the_registry_and_is_not_called_again(mesh: MeshOfNodes) -> None:
    one, two = NotesService("one"), NotesService("two")
    await mesh.add("one", one)
    await mesh.add("two", two)
    client = await mesh.add("client")

    mesh.kill("one")
    await eventually(lambda: client.registry.find("one") is None)
    answers = [(await client.context().call(WHERE_ONCE, Nothing())).node for _ in range(4)]

    assert answers == ["two"] * 4


@pytest.mark.requirement("P20")
@pytest.mark.parametrize("how", ["stopped", "killed"])
async def test_a_call_waits_for_the_only_node_to_start_anew(mesh: MeshOfNodes, how: str) -> None:
    client = await mesh.add("client", absence_wait_s=10.0)
    await mesh.add("old", NotesService("old"))
    if how == "stopped":
        await mesh.stop("old")
    else:
        mesh.kill("old")
    await eventually(lambda: client.registry.find("old") is None)

    call = asyncio.create_task(client.context().call(WHERE_ONCE, Nothing()))
    await mesh.add("new", NotesService("new"))

    assert (await call).node == "new"


async def test_a_call_of_what_nobody_ever_offered_does_not_wait(mesh: MeshOfNodes) -> None:
    client = await mesh.add("client", absence_wait_s=600.0)

    with pytest.raises(ActionUnavailableError, match="no node offers"):
        await asyncio.wait_for(client.context().call(WHERE_ONCE, Nothing()), 5)


async def test_work_for_a_caller_that_died_is_stopped(mesh: MeshOfNodes, client: Node, notes: NotesService) -> None:
    call = asyncio.create_task(client.context().call(HANG, Nothing()))
    await asyncio.wait_for(notes.hanging.wait(), 5)

    mesh.kill("client")

    await asyncio.wait_for(notes.ended.wait(), 5)
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)


async def test_a_leaving_node_finishes_what_it_began_and_takes_nothing_new(mesh: MeshOfNodes) -> None:
    leaving, staying = NotesService("leaving"), NotesService("staying")
    leaver = await mesh.add("leaving", leaving)
    client = await mesh.add("client")
    call = asyncio.create_task(client.context().call(HANG, Nothing()))
    await asyncio.wait_for(leaving.hanging.wait(), 5)
    await mesh.add("staying", staying)

    stop = asyncio.create_task(leaver.stop())
    await eventually(lambda: not client.registry.find("leaving").info.services)  # type: ignore[union-attr]
    answers = {(await client.context().call(WHERE_ONCE, Nothing())).node for _ in range(4)}
    leaving.release.set()

    assert await call == Where(node="leaving")
    assert answers == {"staying"}
    await stop
    await eventually(lambda: client.registry.find("leaving") is None)


async def test_a_call_that_reaches_a_leaving_node_is_made_elsewhere(mesh: MeshOfNodes) -> None:
    leaving, staying = NotesService("leaving"), NotesService("staying")
    leaver = await mesh.add("leaving", leaving)
    client = await mesh.add("client")
    call = asyncio.create_task(client.context().call(HANG, Nothing()))
    await asyncio.wait_for(leaving.hanging.wait(), 5)
    await mesh.add("staying", staying)
    mesh.lines["client"].deaf_to.add("INFO")

    stop = asyncio.create_task(leaver.stop())
    await eventually(lambda: any(command == "INFO" for command, _, _ in mesh.lines["leaving"].sent[-1:]))
    answers = [(await client.context().call(WHERE_ONCE, Nothing())).node for _ in range(4)]
    leaving.release.set()

    assert answers == ["staying"] * 4
    assert leaving.calls == 1
    assert (await call).node == "leaving"
    await stop


async def test_a_node_that_comes_back_under_its_name_is_called_again(mesh: MeshOfNodes) -> None:
    first, second = NotesService("first"), NotesService("second")
    await mesh.add("server", first)
    client = await mesh.add("client")
    call = asyncio.create_task(client.context().call(HANG, Nothing()))
    await asyncio.wait_for(first.hanging.wait(), 5)
    second.release.set()

    mesh.kill("server")
    await mesh.add("server", second)

    assert (await call).node == "second"


async def test_calls_fail_clearly_when_no_node_offers_the_action_any_more(mesh: MeshOfNodes) -> None:
    server = await mesh.add("server", NotesService())
    client = await mesh.add("client")
    await server.stop()
    await eventually(lambda: not client.registry.nodes)

    with pytest.raises(ActionUnavailableError, match=r"notes\.where"):
        await client.context().call(WHERE, Nothing())


async def test_an_interrupted_call_of_a_leaving_node_ends_with_a_clear_error(mesh: MeshOfNodes) -> None:
    once = Action("notes.hang", Nothing, Where, access="public", timeout_s=20.0)
    notes = NotesService()
    server = await mesh.add("server", notes, stop_timeout_s=0.0)
    client = await mesh.add("client")
    call = asyncio.create_task(client.context().call(once, Nothing()))
    await asyncio.wait_for(notes.hanging.wait(), 5)

    await server.stop()

    with pytest.raises(NodeStoppedError, match="server"):
        await call
    assert notes.ended.is_set()


async def test_the_round_trip_to_a_node_is_measured(client: Node) -> None:
    seconds = await client.ping("server")

    assert 0 < seconds < 5
    node = client.registry.find("server")
    assert node is not None
    assert node.latency_s == seconds
    with pytest.raises(DeadlineExceededError, match="nobody"):
        await client.ping("nobody", timeout_s=0.02)


@pytest.mark.requirement("P7")
async def test_packets_carry_moleculers_field_names(mesh: MeshOfNodes, client: Node) -> None:
    await client.context(identity=a_user(), request_id="r-1").call(ECHO, Note(text="x"), timeout_s=2.0)

    (sent,) = [json.loads(packet) for command, _, packet in mesh.lines["client"].sent if command == "REQ"]
    (answer,) = [json.loads(packet) for command, _, packet in mesh.lines["server"].sent if command == "RES"]
    assert sent["ver"] == "4"
    assert sent["sender"] == "client"
    assert sent["action"] == "notes.echo"
    assert sent["params"] == {"text": "x", "data": "", "tags": []}
    assert sent["requestID"] == "r-1"
    assert 0 < sent["timeout"] <= 2000
    assert set(sent["meta"]) == {"fireside"}
    assert "stream" not in sent
    assert answer["id"] == sent["id"]
    assert answer["success"] is True
    assert answer["data"] == sent["params"]
    assert "stream" not in answer


async def test_a_node_that_was_busy_itself_does_not_take_the_others_for_dead(mesh: MeshOfNodes) -> None:
    once = Action("notes.hang", Nothing, Where, access="public", timeout_s=20.0)
    notes = NotesService("server")
    await mesh.add("server", notes, heartbeat_interval_s=0.02)
    client = await mesh.add("client", heartbeat_interval_s=0.02, heartbeat_timeout_s=0.1)
    call = asyncio.create_task(client.context().call(once, Nothing()))
    await asyncio.wait_for(notes.hanging.wait(), 5)
    beats = sum(command == "HEARTBEAT" for command, _, _ in mesh.lines["client"].sent)

    busy_until = asyncio.get_running_loop().time() + 0.2
    while asyncio.get_running_loop().time() < busy_until:
        pass
    await eventually(lambda: sum(command == "HEARTBEAT" for command, _, _ in mesh.lines["client"].sent) > beats + 1)
    notes.release.set()

    assert (await call).node == "server"
