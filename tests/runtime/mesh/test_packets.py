import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from fireside.core.errors import (
    ConflictError,
    DeadlineExceededError,
    FiresideError,
    InternalError,
    NotFoundError,
    TooManyRequestsError,
    UnavailableError,
)
from fireside.runtime.errors import ActionUnavailableError
from fireside.runtime.mesh.packets import (
    Codec,
    Disconnect,
    Discover,
    EventPacket,
    Heartbeat,
    Info,
    MalformedPacketError,
    Offer,
    Packet,
    Ping,
    Pong,
    Request,
    Response,
    ServiceInfo,
    WireError,
)
from fireside.runtime.mesh.wire_errors import from_wire, to_wire

text = st.text(st.characters(codec="utf-8"), max_size=20)
some_text = st.none() | text
whole = st.integers(-(2**53), 2**53)
number = st.none() | st.floats(allow_nan=False, allow_infinity=False)
flag = st.none() | st.booleans()
values = st.recursive(
    st.none() | st.booleans() | whole | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)
raw = values.map(lambda value: Raw(json.dumps(value).encode()))
meta = st.none() | st.dictionaries(text, values, max_size=3)
seq = st.none() | st.integers(0, 2**31)
ends: dict[str, Any] = {"sender": text, "ver": st.sampled_from(["4", "5"])}
offers = st.dictionaries(text, st.builds(Offer, name=text, group=some_text), max_size=2)
services = st.builds(
    ServiceInfo,
    name=text,
    full_name=some_text,
    version=st.none() | text | st.floats(allow_nan=False, allow_infinity=False),
    settings=st.dictionaries(text, values, max_size=2),
    metadata=st.dictionaries(text, values, max_size=2),
    actions=offers,
    events=offers,
)
errors = st.none() | st.builds(
    WireError,
    name=some_text,
    message=some_text,
    code=st.none() | whole,
    type=some_text,
    node_id=some_text,
    retryable=flag,
    data=values,
)
packets = st.one_of(
    st.builds(Discover, **ends),
    st.builds(Disconnect, **ends),
    st.builds(Heartbeat, **ends, cpu=number, seq=seq, instance_id=some_text),
    st.builds(Ping, **ends, time=whole, id=some_text),
    st.builds(Pong, **ends, time=whole, arrived=whole, id=some_text),
    st.builds(
        Info,
        **ends,
        services=st.lists(services, max_size=2),
        config=st.dictionaries(text, values, max_size=2),
        ip_list=st.lists(text, max_size=2),
        hostname=some_text,
        client=st.dictionaries(text, values, max_size=2),
        instance_id=some_text,
        metadata=meta,
        seq=seq,
    ),
    st.builds(
        Request,
        **ends,
        id=text,
        action=text,
        params=raw,
        meta=meta,
        timeout_ms=number,
        level=seq,
        tracing=values,
        parent_id=some_text,
        request_id=some_text,
        caller=some_text,
        stream=flag,
        seq=seq,
        headers=meta,
    ),
    st.builds(
        Response,
        **ends,
        id=text,
        success=st.booleans(),
        data=raw,
        error=errors,
        meta=meta,
        stream=flag,
        seq=seq,
        headers=meta,
    ),
    st.builds(
        EventPacket,
        **ends,
        event=text,
        id=some_text,
        data=raw,
        groups=st.none() | st.lists(text, max_size=2),
        broadcast=flag,
        meta=meta,
        level=seq,
        request_id=some_text,
        caller=some_text,
    ),
)


@settings(deadline=None)
@given(packet=packets)
def test_every_packet_reads_as_it_was_written(packet: Packet) -> None:
    codec = Codec()

    assert codec.decode(packet.command, codec.encode(packet)) == packet


@settings(deadline=None)
@given(data=st.binary(max_size=60) | values.map(lambda value: json.dumps(value).encode()))
def test_bytes_that_are_no_packet_are_refused_with_one_kind_of_error(data: bytes) -> None:
    with pytest.raises(MalformedPacketError):
        Codec().decode("REQ", data)


@pytest.mark.parametrize(
    ("command", "packet"),
    [
        ("REQ", {"sender": "a", "ver": "3", "id": "1", "action": "x.y"}),
        ("REQ", {"sender": "a", "id": "1", "action": "x.y"}),
        ("REQ", {"ver": "4", "id": "1", "action": "x.y"}),
        ("NONSENSE", {"sender": "a", "ver": "4"}),
    ],
)
def test_a_packet_of_another_version_or_kind_is_refused(command: str, packet: dict[str, Any]) -> None:
    with pytest.raises(MalformedPacketError):
        Codec().decode(command, json.dumps(packet).encode())


def test_what_node_js_moleculer_announces_is_understood() -> None:
    """As moleculer 0.14 sends it, shortened."""
    info = {
        "services": [
            {
                "name": "math",
                "version": 2,
                "fullName": "v2.math",
                "settings": {},
                "metadata": {},
                "dependencies": [],
                "actions": {"v2.math.add": {"rawName": "add", "name": "v2.math.add", "cache": False, "params": {}}},
                "events": {"user.*": {"name": "user.*", "group": "mail"}},
            }
        ],
        "ipList": ["10.0.0.1"],
        "hostname": "host",
        "client": {"type": "nodejs", "version": "0.14.35", "langVersion": "v18.0.0"},
        "config": {},
        "instanceID": "0b5f",
        "metadata": {},
        "seq": 3,
        "ver": "4",
        "sender": "node-1",
    }

    read = Codec().decode("INFO", json.dumps(info).encode())

    assert isinstance(read, Info)
    assert read.services[0].full_name == "v2.math"
    assert read.services[0].version == 2
    assert list(read.services[0].actions) == ["v2.math.add"]
    assert read.services[0].events["user.*"].group == "mail"
    assert (read.instance_id, read.seq) == ("0b5f", 3)


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (NotFoundError("no such note", note_id=7), "MoleculerClientError"),
        (ConflictError("taken"), "MoleculerClientError"),
        (UnavailableError("not now", retry_after_s=2), "MoleculerRetryableError"),
        (InternalError("broken"), "MoleculerServerError"),
    ],
)
def test_an_error_is_rebuilt_with_its_class_message_and_details(error: FiresideError, name: str) -> None:
    wire = to_wire(error, node_id="n")

    rebuilt = from_wire(wire)

    assert (wire.name, wire.code, wire.type, wire.node_id) == (name, error.status, error.code, "n")
    assert type(rebuilt) is type(error)
    assert rebuilt.to_dict() == error.to_dict()


def test_an_error_that_is_none_of_ours_tells_nothing_of_itself() -> None:
    wire = to_wire(ValueError("a secret"), node_id="n")

    assert wire.type == "internal"
    assert "secret" not in str(wire)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("SERVICE_NOT_FOUND", ActionUnavailableError),
        ("REQUEST_TIMEOUT", DeadlineExceededError),
        ("REQUEST_REJECTED", UnavailableError),
        ("QUEUE_FULL", TooManyRequestsError),
    ],
)
def test_errors_of_moleculers_own_become_ours(kind: str, expected: type[FiresideError]) -> None:
    assert type(from_wire(WireError(name="X", message="m", code=504, type=kind, data={"a": 1}))) is expected


def test_an_error_of_an_unknown_kind_keeps_what_it_says() -> None:
    error = from_wire(WireError(name="E", message="m", code=418, type="TEAPOT", retryable=True, data=[1]))

    assert (error.code, error.status, error.message, error.retryable) == ("TEAPOT", 418, "m", True)
    assert error.details == {"data": [1]}


def test_an_error_with_a_strange_status_is_ours_to_answer_for() -> None:
    assert from_wire(WireError(message="m", code="ECONNREFUSED", type="ODD")).status == 500
    assert from_wire(WireError(message="m", code=200, type="ODD")).status == 500
    assert from_wire(None).status == 500
