"""A node's link to the others: packets out through the transporter, packets in to whoever takes their kind."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

import structlog

from fireside.ports.transporter import Transporter
from fireside.runtime.mesh.packets import PACKETS, Codec, MalformedPacketError, Packet, Version
from fireside.runtime.metrics import Metrics

log = structlog.stdlib.get_logger(__name__)

PacketT = TypeVar("PacketT", bound=Packet)


class Link:
    """Sends and receives packets.

    Attributes:
        loop: The event loop on which it does, once connected.
    """

    loop: asyncio.AbstractEventLoop

    def __init__(self, transporter: Transporter, *, node_id: str, version: Version, metrics: Metrics) -> None:
        self.node_id = node_id
        self._version: Version = version
        self._transporter = transporter
        self._dropped = metrics.packets_dropped
        self._sent = {packet.command: metrics.packets.labels(packet.command, "out") for packet in PACKETS}
        self._received = {packet.command: metrics.packets.labels(packet.command, "in") for packet in PACKETS}
        self._codec = Codec()
        self._takers: dict[str, Callable[[Any], None]] = {}
        self._versions: dict[str, Version] = {}
        self.connected = False

    def version_for(self, node_id: str | None) -> Version:
        """The protocol version in which to write to a node, or to all."""
        return self._versions.get(node_id or "", self._version)

    def speaks(self, node_id: str, version: Version) -> None:
        """Write to a node in the version that it uses itself."""
        self._versions[node_id] = version

    def on(self, kind: type[PacketT], take: Callable[[PacketT], None]) -> None:
        """Have packets of a kind taken by a function, which must return at once."""
        self._takers[kind.command] = take

    async def connect(self, *, on_reconnect: Callable[[], None]) -> None:
        """Connect the transporter and subscribe to everything that is meant for this node.

        Raises:
            TransporterError: The broker cannot be reached; calling again may help.
        """
        self.loop = asyncio.get_running_loop()
        await self._transporter.connect(self._receive, on_reconnect=on_reconnect)
        for command in ("DISCOVER", "INFO", "HEARTBEAT", "DISCONNECT", "PING"):
            await self._transporter.subscribe(command)
        for command in ("DISCOVER", "INFO", "REQ", "RES", "EVENT", "PING", "PONG"):
            await self._transporter.subscribe(command, node_id=self.node_id)
        self.connected = True

    async def disconnect(self) -> None:
        """Let the transporter go."""
        self.connected = False
        await self._transporter.disconnect()

    async def send(self, packet: Packet, *, to: str | None = None) -> None:
        """Send a packet to one node, or to all.

        Raises:
            TransporterError: It could not be sent.
        """
        await self._transporter.publish(packet.command, self._codec.encode(packet), node_id=to)
        self._sent[packet.command].value += 1

    def drop(self, reason: str) -> None:
        """Count a packet that is not acted on."""
        self._dropped.labels(reason).inc()

    def _receive(self, command: str, data: bytes) -> None:
        try:
            packet = self._codec.decode(command, data)
        except MalformedPacketError as error:
            self.drop("malformed")
            log.debug("packet_malformed", command=command, detail=error.message)
            return
        if packet.sender == self.node_id and command != "INFO":
            return
        self._received[command].value += 1
        try:
            self._takers[command](packet)
        except Exception:  # the transporter's reader must live on
            log.exception("packet_failed", command=command, sender=packet.sender)
