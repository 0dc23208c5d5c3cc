"""The packets of the Moleculer protocol, version 4, with what version 5 adds (`headers`).

Field names on the wire are Moleculer's (its `docs/PROTOCOL.md` and `src/transit.js`). A field that has no value is left
out: Moleculer tells `stream: false` from no `stream` at all. What services send stays JSON bytes; contracts read it.
"""

from typing import Any, ClassVar, Literal, TypeVar

import msgspec
from msgspec import Raw, Struct, field

from fireside.core.errors import InvalidInputError

Version = Literal["4", "5"]
PacketT = TypeVar("PacketT", bound="Packet")

JSON_NULL = Raw(b"null")
FIRESIDE = "fireside"
"""What a node of Fireside's says that it is, where one of Moleculer's own says `nodejs`."""


def object_in(raw: Raw) -> bytes:
    """The JSON of parameters or of an event's data; Moleculer's null means that there are none."""
    data = bytes(raw)
    return b"{}" if data == b"null" else data


class MalformedPacketError(InvalidInputError):
    """The bytes are no packet of this protocol."""

    code = "malformed_packet"


class Packet(Struct, kw_only=True, omit_defaults=True, frozen=True):
    """What all packets have: who sent them, and in which version of the protocol."""

    command: ClassVar[str]

    sender: str
    ver: Version


class Discover(Packet, kw_only=True, omit_defaults=True, frozen=True):
    """Asks for INFO."""

    command: ClassVar[str] = "DISCOVER"


class Offer(Struct, kw_only=True, omit_defaults=True, frozen=True):
    """An action, or the subscription to an event, as a node announces it."""

    name: str
    group: str | None = None


class ServiceInfo(Struct, kw_only=True, omit_defaults=True, frozen=True, rename={"full_name": "fullName"}):
    """A service as a node announces it. The keys of `actions` and `events` are their full names."""

    name: str
    full_name: str | None = None
    version: str | float | None = None
    settings: dict[str, Any] = field(default_factory=dict[str, Any])
    metadata: dict[str, Any] = field(default_factory=dict[str, Any])
    actions: dict[str, Offer] = field(default_factory=dict[str, Offer])
    events: dict[str, Offer] = field(default_factory=dict[str, Offer])


class Info(
    Packet,
    kw_only=True,
    omit_defaults=True,
    frozen=True,
    rename={"ip_list": "ipList", "instance_id": "instanceID"},
):
    """What a node is and offers. `seq` grows with every change; `instance_id` is new with every start and line."""

    command: ClassVar[str] = "INFO"

    services: list[ServiceInfo]
    config: dict[str, Any] = field(default_factory=dict[str, Any])
    ip_list: list[str] = field(default_factory=list[str])
    hostname: str | None = None
    client: dict[str, Any] = field(default_factory=dict[str, Any])
    instance_id: str | None = None
    metadata: dict[str, Any] | None = None
    seq: int | None = None


class Heartbeat(Packet, kw_only=True, omit_defaults=True, frozen=True, rename={"instance_id": "instanceID"}):
    """Says that a node is alive."""

    command: ClassVar[str] = "HEARTBEAT"

    cpu: float | None = None
    seq: int | None = None
    instance_id: str | None = None


class Request(
    Packet,
    kw_only=True,
    omit_defaults=True,
    frozen=True,
    rename={"timeout_ms": "timeout", "parent_id": "parentID", "request_id": "requestID"},
):
    """Calls an action, or carries a chunk of a stream to it (`seq` above 0)."""

    command: ClassVar[str] = "REQ"

    id: str
    action: str
    params: Raw = JSON_NULL
    meta: dict[str, Any] | None = None
    timeout_ms: float | None = None
    level: int | None = None
    tracing: Any = None
    parent_id: str | None = None
    request_id: str | None = None
    caller: str | None = None
    stream: bool | None = None
    seq: int | None = None
    headers: dict[str, Any] | None = None


class WireError(Struct, kw_only=True, omit_defaults=True, frozen=True, rename={"node_id": "nodeID"}):
    """An error in Moleculer's shape: `code` is a number, `type` says which error it is."""

    name: str | None = None
    message: str | None = None
    code: Any = None
    type: str | None = None
    node_id: str | None = None
    retryable: bool | None = None
    data: Any = None


class Response(Packet, kw_only=True, omit_defaults=True, frozen=True):
    """Answers a request, or carries a chunk of the stream that answers it.

    A stream is `stream: true` with `seq` from 0, the first without data, and ends with `stream: false`.
    """

    command: ClassVar[str] = "RES"

    id: str
    success: bool
    data: Raw = JSON_NULL
    error: WireError | None = None
    meta: dict[str, Any] | None = None
    stream: bool | None = None
    seq: int | None = None
    headers: dict[str, Any] | None = None


class EventPacket(
    Packet,
    kw_only=True,
    omit_defaults=True,
    frozen=True,
    rename={"parent_id": "parentID", "request_id": "requestID"},
):
    """Carries an event to one node: to those of its services that are in `groups`, or to all that listen."""

    command: ClassVar[str] = "EVENT"

    event: str
    id: str | None = None
    data: Raw = JSON_NULL
    groups: list[str] | None = None
    broadcast: bool | None = None
    meta: dict[str, Any] | None = None
    level: int | None = None
    tracing: Any = None
    parent_id: str | None = None
    request_id: str | None = None
    caller: str | None = None
    headers: dict[str, Any] | None = None


class Ping(Packet, kw_only=True, omit_defaults=True, frozen=True):
    """Asks for a PONG. `time` is in milliseconds since 1970 on the sender's clock."""

    command: ClassVar[str] = "PING"

    time: int
    id: str | None = None


class Pong(Packet, kw_only=True, omit_defaults=True, frozen=True):
    """Answers a PING: its `time`, and when it arrived on the answering node's clock."""

    command: ClassVar[str] = "PONG"

    time: int
    arrived: int
    id: str | None = None


class Disconnect(Packet, kw_only=True, omit_defaults=True, frozen=True):
    """Says that a node has left."""

    command: ClassVar[str] = "DISCONNECT"


PACKETS: tuple[type[Packet], ...] = (
    Discover, Info, Heartbeat, Request, Response, EventPacket, Ping, Pong, Disconnect,
)  # fmt: skip


class Codec:
    """Writes and reads packets."""

    def __init__(self) -> None:
        self._encoder = msgspec.json.Encoder(enc_hook=str)
        self._decoders = {packet.command: msgspec.json.Decoder(packet) for packet in PACKETS}

    def encode(self, packet: Packet) -> bytes:
        """The packet as it goes over the wire."""
        return self._encoder.encode(packet)

    def decode(self, command: str, data: bytes) -> Packet:
        """The packet that these bytes are.

        Raises:
            MalformedPacketError: They are none, or one of another version.
        """
        decoder = self._decoders.get(command)
        if decoder is None:
            raise MalformedPacketError(f"no packet is called {command!r}", command=command)
        try:
            return decoder.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise MalformedPacketError(f"not a {command} packet: {error}", command=command) from error
