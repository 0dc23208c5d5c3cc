"""Nodes without the cluster key, and packets made by hand."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr

from fireside.bootstrap.transporters import Transporters
from fireside.contracts.base import PUBLIC, Action, Nothing
from fireside.core.clock import SystemClock
from fireside.core.identity import service_identity
from fireside.runtime.errors import ActionUnavailableError
from fireside.runtime.mesh import Context, MeshSettings, Node, Service, action
from fireside.runtime.mesh.incoming import ERROR_AFTER_S
from fireside.runtime.mesh.passes import Passes
from fireside.testing.mesh import TEST_CLUSTER_KEY, WAIT_S, MeshOfNodes, eventually, mesh_of_nodes

from .outsider import Outsider
from .parts import HANG, WHERE, NotesService, Where, a_user

FOREIGN = Action("js.where", Nothing, Where, access=PUBLIC)
DIARY = Action("diary.where", Nothing, Where, access=PUBLIC)


class Diary(Service):
    name = "diary"
    calls = 0

    @action(DIARY)
    async def where(self, context: Context, request: Nothing) -> Where:
        self.calls += 1
        return Where(node="ours")


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
    return await mesh.add("server", notes, foreign_actions=["js.*"])


@pytest.fixture
async def outsider(server: Node, transporters: Transporters) -> AsyncIterator[Outsider]:
    line = transporters.make("memory://")
    outsider = Outsider(line)
    await outsider.connect()
    yield outsider
    await line.disconnect()


def passes(key: SecretStr = TEST_CLUSTER_KEY) -> Passes:
    return Passes(MeshSettings(cluster_key=key), SystemClock())


@pytest.mark.parametrize("key", ["another key", ""])
async def test_a_node_without_the_right_cluster_key_neither_serves_nor_calls(mesh: MeshOfNodes, key: str) -> None:
    theirs = NotesService("theirs")
    ours = await mesh.add("ours")
    stranger = await mesh.add("stranger", theirs, cluster_key=SecretStr(key))

    assert [node.trusted for node in ours.registry.nodes] == [False]
    with pytest.raises(ActionUnavailableError):
        await ours.context().call(WHERE, Nothing())
    ours_serves = Diary()
    await mesh.add("serving", ours_serves)
    assert await ours.wait_for(DIARY, timeout_s=WAIT_S)
    with pytest.raises(ActionUnavailableError):
        await stranger.context().call(DIARY, Nothing())
    assert theirs.calls == ours_serves.calls == 0


async def test_a_request_without_a_token_is_served_only_for_public_actions(
    outsider: Outsider, notes: NotesService
) -> None:
    public = await outsider.ask("notes.where", {})
    signed_in = await outsider.ask("notes.echo", {"text": "x"})
    internal = await outsider.ask("notes.who", {})

    assert public["data"] == {"node": "server"}
    assert [answer["error"]["type"] for answer in (signed_in, internal)] == ["unauthenticated"] * 2
    assert notes.requests == []


async def test_a_token_made_with_another_key_is_worth_nothing(outsider: Outsider, server: Node) -> None:
    context = server.context(identity=service_identity("chat"))
    forged = {"fireside": passes(SecretStr("another key")).for_call(context, "notes")}

    assert (await outsider.ask("notes.who", {}, meta=forged))["error"]["code"] == 401


async def test_a_token_for_one_service_is_worth_nothing_at_another(outsider: Outsider, server: Node) -> None:
    context = server.context(identity=service_identity("chat"))

    for audience, success in [("documents", False), ("signals", False), ("notes", True)]:
        meta = {"fireside": passes().for_call(context, audience)}
        assert (await outsider.ask("notes.who", {}, meta=meta))["success"] is success


async def test_the_token_with_which_a_node_announces_itself_is_no_token_for_calls(
    outsider: Outsider, server: Node
) -> None:
    meta = {"fireside": {"token": passes().for_node("outsider", "i-1")}}

    assert (await outsider.ask("notes.who", {}, meta=meta))["success"] is False


async def test_an_announcement_is_believed_only_with_the_token_of_that_very_node(
    outsider: Outsider, server: Node
) -> None:
    services = [{"name": "secret", "actions": {"secret.take": {"name": "secret.take"}}}]
    for token, trusted in [
        (None, False),
        ("garbage", False),
        (passes(SecretStr("another key")).for_node("outsider", "i-1"), False),
        (passes().for_node("someone-else", "i-1"), False),
        (passes().for_node("outsider", "i-0"), False),
        (passes().for_node("outsider", "i-1"), True),
    ]:
        metadata = {"fireside": {"token": token}}
        await outsider.send("INFO", None, services=services, instanceID="i-1", seq=1, metadata=metadata)
        await outsider.ask("notes.where", {})
        known = server.registry.find("outsider")
        assert known is not None
        assert known.trusted is trusted
        assert bool(server.registry.offering("secret.take")) is trusted


async def test_a_node_cannot_be_displaced_by_someone_who_uses_its_name_without_the_key(
    outsider: Outsider, server: Node, mesh: MeshOfNodes
) -> None:
    client = await mesh.add("client")

    await outsider.send("INFO", None, sender="server", services=[], instanceID="other", seq=99, metadata={})
    for _ in range(20):
        await asyncio.sleep(0)

    assert (await client.context().call(WHERE, Nothing())).node == "server"


async def test_a_response_from_another_node_than_the_one_asked_is_ignored(
    outsider: Outsider, mesh: MeshOfNodes, notes: NotesService
) -> None:
    client = await mesh.add("client")
    call = asyncio.create_task(client.context().call(HANG, Nothing()))
    await asyncio.wait_for(notes.hanging.wait(), 5)
    (request,) = [json.loads(packet) for command, _, packet in mesh.lines["client"].sent if command == "REQ"]

    await outsider.send("RES", "client", id=request["id"], success=True, data={"node": "false"}, meta={})
    await outsider.ask("notes.where", {})
    notes.release.set()

    assert (await call).node == "server"


async def test_a_foreign_node_may_serve_what_is_allowed_to_be_foreign_and_sees_no_token(
    outsider: Outsider, server: Node
) -> None:
    services = [
        {"name": "js", "actions": {"js.where": {"name": "js.where"}}},
        {"name": "notes", "actions": {"notes.echo": {"name": "notes.echo"}}},
    ]
    await outsider.send("INFO", None, services=services, instanceID="i", seq=1, ver="5", config={}, client={})
    await server.wait_for(FOREIGN, timeout_s=WAIT_S)

    call = asyncio.create_task(server.context(identity=a_user()).call(FOREIGN, Nothing()))
    (request,) = await outsider.requests(1)
    await outsider.send("RES", "server", id=request["id"], success=True, data={"node": "js"}, meta={}, ver="5")

    assert (await call).node == "js"
    assert request["ver"] == "5"
    assert "token" not in json.dumps(request)
    assert [node.node_id for node in server.registry.offering("notes.echo")] == []


async def test_answers_are_written_in_the_version_of_who_asks(outsider: Outsider) -> None:
    assert (await outsider.ask("notes.where", {}, ver="5"))["ver"] == "5"
    assert (await outsider.ask("notes.where", {}, ver="4"))["ver"] == "4"


@pytest.mark.parametrize("version", ["4", "5"])
async def test_a_node_that_asks_who_is_there_is_told_in_its_own_version(outsider: Outsider, version: str) -> None:
    await outsider.send("DISCOVER", "server", ver=version)
    await outsider.ask("notes.where", {})

    (info,) = [packet for command, packet in outsider.packets if command == "INFO" and packet["sender"] == "server"]
    assert info["ver"] == version
    assert [service["name"] for service in info["services"]] == ["$node", "notes"]


async def test_a_request_that_is_not_valid_is_answered_without_repeating_its_values(outsider: Outsider) -> None:
    answer = await outsider.ask("notes.where", ["a secret"])

    assert answer["error"]["code"] == 422
    assert answer["error"]["name"] == "MoleculerClientError"
    assert "a secret" not in json.dumps(answer)


async def test_no_parameters_at_all_are_as_good_as_none(outsider: Outsider) -> None:
    assert (await outsider.ask("notes.where", None))["success"] is True
    await outsider.send("REQ", "server", id="bare", action="notes.where")
    assert (await outsider.response("bare"))["success"] is True


@pytest.mark.parametrize(("window", "held_back"), [({}, True), ({"window": 8}, False)])
async def test_the_error_of_a_stream_is_held_back_until_a_consumer_of_moleculer_can_hear_it(
    outsider: Outsider, server: Node, window: dict[str, int], held_back: bool
) -> None:
    meta = {"fireside": {**passes().for_call(server.context(identity=a_user()), "notes"), **window}}

    last = await outsider.ask("notes.numbers", {"upto": 3, "fail_at": 1}, meta=meta)
    await eventually(lambda: any(not packet.get("success", True) for _, packet in outsider.packets))

    responses = [number for number, (command, _) in enumerate(outsider.packets) if command == "RES"]
    opened, ended = outsider.arrivals[responses[0]], outsider.arrivals[responses[-1]]
    assert outsider.packets[responses[-1]][1]["error"]["type"] == "too_odd"
    assert last["id"] == outsider.packets[responses[-1]][1]["id"]
    assert (ended - opened >= 0.9 * ERROR_AFTER_S) is held_back


async def test_an_action_that_is_not_offered_is_refused(outsider: Outsider) -> None:
    answer = await outsider.ask("notes.nothing", {})

    assert answer["error"]["type"] == "action_unavailable"
    assert answer["error"]["nodeID"] == "server"


async def test_packets_that_make_no_sense_are_dropped_and_counted(outsider: Outsider, server: Node) -> None:
    metrics = server.tools.metrics.registry

    def dropped(reason: str) -> float:
        return metrics.get_sample_value("fireside_mesh_packets_dropped_total", {"reason": reason}) or 0.0

    await outsider.send("REQ", "server", action="notes.where")
    await outsider.send("REQ", "server", id="1", action="notes.where", ver="3")
    await outsider.send("RES", "server", id="nobody waits", success=True)
    await outsider.send("EVENT", "server", event="nobody.listens")
    await outsider.send("REQ", "server", id="2", action="notes.where", stream=True, seq=5)
    await outsider.send("EVENT", "server", event="$fireside.cancel", data="nonsense")

    assert (await outsider.ask("notes.where", {}))["success"] is True
    assert dropped("malformed") == 2
    assert dropped("orphan_response") == 1
    assert dropped("unwanted_event") == 1
    assert dropped("unexpected_request") == 1


async def test_a_ping_is_answered(outsider: Outsider) -> None:
    await outsider.send("PING", "server", time=5, id="p")

    await eventually(lambda: any(command == "PONG" for command, _ in outsider.packets))
    (pong,) = [packet for command, packet in outsider.packets if command == "PONG"]
    assert (pong["time"], pong["id"]) == (5, "p")
    assert pong["arrived"] > 1_700_000_000_000


async def test_two_nodes_of_one_name_are_noticed(
    outsider: Outsider, server: Node, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    await outsider.send("INFO", "server", sender="server", services=[], instanceID="other", seq=1)
    await outsider.ask("notes.where", {})

    assert "node_id_taken" in capsys.readouterr().out + caplog.text
