"""Packets between nodes of one process: what one publishes, the event loop hands to those who subscribed."""

import asyncio
from collections import defaultdict
from collections.abc import Callable

from fireside.ports.transporter import Receiver, TransporterError

Topic = tuple[str, str | None]


class MemoryHub:
    """The broker that memory transporters share. Nodes with the same hub see each other."""

    def __init__(self) -> None:
        self._subscribers: dict[Topic, list[MemoryTransporter]] = defaultdict(list)

    def subscribe(self, topic: Topic, subscriber: "MemoryTransporter") -> None:
        """Deliver what is published under a topic to the subscriber too."""
        if subscriber not in self._subscribers[topic]:
            self._subscribers[topic].append(subscriber)

    def leave(self, subscriber: "MemoryTransporter") -> None:
        """Deliver nothing to the subscriber any more."""
        for subscribers in self._subscribers.values():
            if subscriber in subscribers:
                subscribers.remove(subscriber)

    def publish(self, topic: Topic, packet: bytes) -> None:
        """Hand a packet to all who subscribed to its topic."""
        for subscriber in tuple(self._subscribers.get(topic, ())):
            subscriber.deliver(topic[0], packet)


class MemoryTransporter:
    """A node's connection to a hub."""

    def __init__(self, hub: MemoryHub) -> None:
        self._hub = hub
        self._receive: Receiver | None = None

    async def connect(self, receive: Receiver, *, on_reconnect: Callable[[], None]) -> None:
        """Get ready; a hub is never lost, so nothing reconnects."""
        del on_reconnect
        self._receive = receive

    async def subscribe(self, command: str, *, node_id: str | None = None) -> None:
        """Receive packets of a command from now on."""
        self._require_connection()
        self._hub.subscribe((command, node_id), self)

    async def publish(self, command: str, packet: bytes, *, node_id: str | None = None) -> None:
        """Send a packet to one node, or to all."""
        self._require_connection()
        self._hub.publish((command, node_id), packet)

    async def disconnect(self) -> None:
        """Leave the hub; packets on their way to this node are lost."""
        self._hub.leave(self)
        self._receive = None

    def deliver(self, command: str, packet: bytes) -> None:
        """Hand over a packet in the loop's next turn, in order of sending, as a network would."""
        asyncio.get_running_loop().call_soon(self._hand_over, command, packet)

    def _hand_over(self, command: str, packet: bytes) -> None:
        if self._receive is not None:
            self._receive(command, packet)

    def _require_connection(self) -> None:
        if self._receive is None:
            raise TransporterError("not connected: call connect first")
