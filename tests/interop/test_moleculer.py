"""Nodes of ours beside the real Moleculer, on each transporter, in both versions of its protocol."""

import asyncio
import base64
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest

from fireside.contracts.base import Action, Nothing
from fireside.core.errors import FiresideError, InvalidInputError
from fireside.core.identity import Identity
from fireside.runtime.errors import ActionUnavailableError
from fireside.testing.mesh import WAIT_S, eventually

from .conftest import Neighbours, Ours
from .desk import (
    FORBIDDEN_ECHO,
    FOREIGN_ECHO,
    JS_CHECK,
    JS_ECHO,
    JS_NUMBERS,
    JS_REFUSE,
    JS_RELAY,
    JS_WEIGH,
    Count,
    Desk,
    Number,
    Text,
    Told,
    TooOddError,
)
from .node_program import JsError

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("interop")]


def as_claims(identity: Identity) -> dict[str, Any]:
    return {
        "kind": identity.kind,
        "name": identity.name,
        "user": str(identity.user_id),
        "roles": sorted(identity.roles),
        "permissions": sorted(identity.permissions),
        "session": str(identity.session_id),
    }


@pytest.mark.requirement("P7")
async def test_a_node_service_calls_ours_and_ours_knows_on_whose_behalf(
    neighbours: Neighbours, ours: Ours, someone: Identity
) -> None:
    options = {"identity": as_claims(someone)}

    open_to_all = await neighbours.program.do("call", node="js-1", action="desk.open")
    for_someone = await neighbours.program.do(
        "call", node="js-1", action="desk.echo", params={"text": "grüße ☕"}, options=options
    )
    for_itself = await neighbours.program.do("call", node="js-1", action="desk.echo", params={"text": "x"})

    assert open_to_all == {"text": "come in"}
    assert for_someone == {"text": "grüße ☕", "kind": "user", "user": str(someone.user_id)}
    assert (for_itself["kind"], for_itself["user"]) == ("service", None)


@pytest.mark.requirement("P7")
async def test_ours_calls_a_node_service_which_knows_on_whose_behalf(ours: Ours, someone: Identity) -> None:
    answer = await ours.node.context(identity=someone).call(JS_ECHO, Text(text="grüße ☕"))

    assert (answer.text, answer.node) == ("grüße ☕", "js-1")
    assert answer.identity == as_claims(someone)
    assert "token" not in str(answer.meta)


@pytest.mark.requirement("P7")
async def test_a_node_service_hands_the_identity_of_its_caller_on(ours: Ours, someone: Identity) -> None:
    answer = await ours.node.context(identity=someone).call(JS_RELAY, Text(text="x"))

    assert (answer.kind, answer.user) == ("user", str(someone.user_id))


@pytest.mark.requirement("P7")
async def test_an_event_from_ours_reaches_one_of_each_group_or_everyone(neighbours: Neighbours, ours: Ours) -> None:
    name = uuid4().hex
    context = ours.node.context()

    async def heard() -> dict[str, list[str]]:
        told = {node: await neighbours.program.do("heard", node=node) for node in ("js-1", "js-2", "stranger")}
        return {node: [text for _, text in texts if text.startswith(name)] for node, texts in told.items()}

    for number in range(4):
        await context.emit(Told(text=f"{name} one {number}"))
    await context.broadcast(Told(text=f"{name} all"))
    async with asyncio.timeout(WAIT_S):
        while sum(map(len, (by_node := await heard()).values())) < 6:
            await asyncio.sleep(0.01)

    for node in ("js-1", "js-2"):
        assert by_node[node][-1] == f"{name} all"
        assert len(by_node[node]) == 3
    assert {*by_node["js-1"], *by_node["js-2"]} == {f"{name} all", *(f"{name} one {number}" for number in range(4))}
    assert by_node["stranger"] == []


@pytest.mark.requirement("P7")
async def test_an_event_from_node_reaches_one_of_each_group_or_everyone(neighbours: Neighbours, ours: Ours) -> None:
    twin, desk = neighbours.new_node(f"twin-{uuid4().hex[:8]}"), Desk()
    twin.add(desk)
    await twin.start()
    await neighbours.program.do("wait_for_node", node="js-1", other=twin.node_id)

    for number in range(4):
        await neighbours.program.do(
            "emit", node="js-1", event="desk.told", payload={"text": f"one {number}"}, groups=["desk"]
        )
    await neighbours.program.do("emit", node="js-1", event="desk.told", payload={"text": "to others"}, groups=["other"])
    await neighbours.program.do("broadcast", node="js-1", event="desk.told", payload={"text": "all"})

    await eventually(lambda: "all" in ours.desk.heard and "all" in desk.heard)
    assert sorted(ours.desk.heard + desk.heard) == ["all", "all", "one 0", "one 1", "one 2", "one 3"]
    assert len(ours.desk.heard) == len(desk.heard) == 3
    await twin.stop()


@pytest.mark.requirement("P7")
async def test_streams_from_node_arrive_in_order_and_end_with_their_error(ours: Ours, someone: Identity) -> None:
    context = ours.node.context(identity=someone)
    got: list[int] = []

    whole = [item.value async for item in context.stream(JS_NUMBERS, Count(upto=200))]

    async def read_to_the_error() -> None:
        async for item in context.stream(JS_NUMBERS, Count(upto=9, failAt=5)):
            got.append(item.value)

    with pytest.raises(FiresideError) as caught:
        await read_to_the_error()

    assert whole == list(range(200))
    assert got == list(range(5))
    assert_too_odd(caught.value, 5)


@pytest.mark.requirement("P7")
async def test_streams_to_node_arrive_in_order_and_end_with_their_error(neighbours: Neighbours, ours: Ours) -> None:
    async def collect(**params: int) -> Any:
        return await neighbours.program.do("call", node="js-1", action="desk.numbers", params=params, collect=True)

    whole, failing = await collect(upto=200), await collect(upto=9, failAt=5)

    assert whole == {"items": [{"value": value} for value in range(200)], "error": None}
    assert failing["items"] == [{"value": value} for value in range(5)]
    assert (failing["error"]["type"], failing["error"]["code"]) == ("too_odd", 409)


@pytest.mark.requirement("P7")
async def test_an_error_that_reaches_node_in_one_go_with_the_stream_ends_it(neighbours: Neighbours, ours: Ours) -> None:
    params = {"upto": 9, "failAt": 5}
    for attempt in range(10):
        call = neighbours.program.do("call", node="js-1", action="desk.numbers", params=params, collect=True)
        pending = asyncio.ensure_future(call)
        await asyncio.sleep(attempt * 0.0003)
        with neighbours.program.held():
            await asyncio.sleep(0.1)
        failing = await pending

        assert (len(failing["items"]), failing["error"]["code"]) == (5, 409)


@pytest.mark.requirement("P7")
async def test_bytes_go_with_a_request_in_both_directions(
    neighbours: Neighbours, ours: Ours, someone: Identity
) -> None:
    chunks = [b"a" * 10, bytes(range(256)), b"b" * 300_000]
    total = sum(map(len, chunks))

    async def body() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    there = await ours.node.context(identity=someone).with_body(body()).call(JS_WEIGH, Nothing())
    here = await neighbours.program.do(
        "call", node="js-1", action="desk.weigh", params={}, body=[base64.b64encode(chunk).decode() for chunk in chunks]
    )

    assert there.bytes == total
    assert here == {"bytes": total}


@pytest.mark.requirement("P7")
async def test_an_error_of_node_is_rebuilt_here(ours: Ours, someone: Identity) -> None:
    context = ours.node.context(identity=someone)

    with pytest.raises(TooOddError) as caught:
        await context.call(JS_REFUSE, Number(value=7))
    with pytest.raises(InvalidInputError):
        await context.call(JS_CHECK, Text(text="no number"))

    assert_too_odd(caught.value, 7)


@pytest.mark.requirement("P7")
async def test_an_error_of_ours_is_rebuilt_in_node(neighbours: Neighbours, ours: Ours) -> None:
    with pytest.raises(JsError) as caught:
        await neighbours.program.do("call", node="js-1", action="desk.refuse", params={"value": 7})
    with pytest.raises(JsError) as invalid:
        await neighbours.program.do("call", node="js-1", action="desk.refuse", params={"value": "seven"})

    told = caught.value.told
    assert told["isMoleculer"]
    assert (told["name"], told["code"], told["type"]) == ("MoleculerClientError", 409, "too_odd")
    assert (told["data"], told["retryable"], told["nodeID"]) == ({"value": 7}, False, ours.node.node_id)
    assert (invalid.value.told["code"], invalid.value.told["type"]) == (422, "invalid_input")


@pytest.mark.requirement("P7")
async def test_pings_are_answered_in_both_directions(neighbours: Neighbours, ours: Ours) -> None:
    here = await neighbours.program.do("ping", node="js-1", other=ours.node.node_id)

    assert here["nodeID"] == ours.node.node_id
    assert 0 < await ours.node.ping("js-1", timeout_s=WAIT_S) < WAIT_S


@pytest.mark.requirement("P7")
async def test_each_side_tells_the_other_what_it_sees(neighbours: Neighbours, ours: Ours) -> None:
    here, there = ours.node.node_id, "js-1"
    listed: dict[str, Any] = {}
    for name in ("list", "services", "actions"):
        told = await neighbours.program.do("call", node=there, action=f"$node.{name}", options={"nodeID": here})
        seen = await ours.node.ask(there, Action(f"$node.{name}", Nothing, Any, access="internal"), Nothing())
        listed[name] = (told, seen)

    ours_tells, node_tells = listed["list"]
    assert {here, "js-1", "js-2", "stranger"} <= {node["id"] for node in ours_tells}
    assert {node["id"]: node["trusted"] for node in ours_tells}.items() >= {"js-1": True, "stranger": False}.items()
    assert {here, "js-1"} <= {node["id"] for node in node_tells}
    ours_tells, node_tells = listed["services"]
    assert {"name": "js", "nodes": ["js-1"]} in ours_tells
    assert "desk" in {service["name"] for service in node_tells}
    ours_tells, node_tells = listed["actions"]
    assert {"name": "js.echo", "nodes": ["js-1"]} in ours_tells
    assert "desk.echo" in {action["name"] for action in node_tells}


@pytest.mark.requirement("P7")
async def test_a_node_that_is_killed_is_gone_after_the_timeout_and_one_that_stops_at_once(
    neighbours: Neighbours,
) -> None:
    watching = neighbours.new_node(f"watching-{uuid4().hex[:8]}", heartbeat_timeout_s=1.5)
    program = neighbours.new_program()

    def seen() -> set[str]:
        return {node.node_id for node in watching.registry.nodes}

    try:
        for name in ("killed", "stopped"):
            await program.do("start", node=name, services=[])
        await watching.start()
        assert await watching.wait_until(lambda: {"killed", "stopped"} <= seen(), timeout_s=WAIT_S)

        await program.do("stop", node="stopped")
        at_once = await watching.wait_until(lambda: "stopped" not in seen(), timeout_s=1.0)
        still_there = "killed" in seen()
    finally:
        program.kill()
    in_time = await watching.wait_until(lambda: "killed" not in seen(), timeout_s=WAIT_S)
    await watching.stop()

    assert (at_once, still_there, in_time) == (True, True, True)


@pytest.mark.requirement("P7")
async def test_a_node_of_ours_that_stops_is_gone_at_once(neighbours: Neighbours) -> None:
    node = neighbours.new_node(f"leaving-{uuid4().hex[:8]}")
    await node.start()
    await neighbours.program.do("wait_for_node", node="js-1", other=node.node_id)

    await node.stop()

    async with asyncio.timeout(1.0):
        while node.node_id in await neighbours.program.do("nodes", node="js-1"):
            await asyncio.sleep(0.01)


@pytest.mark.requirement("P7")
async def test_a_node_without_the_cluster_key_serves_only_what_may_be_foreign_and_sees_no_token(
    ours: Ours, someone: Identity
) -> None:
    context = ours.node.context(identity=someone)

    answer = await context.call(FOREIGN_ECHO, Text(text="x"))
    with pytest.raises(ActionUnavailableError):
        await context.call(FORBIDDEN_ECHO, Text(text="x"))

    assert (answer.node, answer.meta) == ("stranger", {})


@pytest.mark.requirement("P7")
async def test_a_node_without_the_cluster_key_is_refused(neighbours: Neighbours, ours: Ours) -> None:
    options = {"nodeID": ours.node.node_id}
    for action in ("desk.echo", "$node.list"):
        with pytest.raises(JsError) as caught:
            await neighbours.program.do("call", node="stranger", action=action, params={"text": "x"}, options=options)
        assert (caught.value.told["code"], caught.value.told["type"]) == (401, "unauthenticated")
    assert await neighbours.program.do("call", node="stranger", action="desk.open") == {"text": "come in"}

    await neighbours.program.do("broadcast", node="stranger", event="desk.told", payload={"text": "not heard"})
    await neighbours.program.do("broadcast", node="js-1", event="desk.told", payload={"text": "heard"})
    await eventually(lambda: ours.desk.heard == ["heard"])


def assert_too_odd(error: FiresideError, value: int) -> None:
    assert isinstance(error, TooOddError)
    assert (error.status, error.message, error.details) == (409, f"{value} is odd", {"value": value})
