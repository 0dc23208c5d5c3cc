"""Carrying packets between nodes: bytes to one node or to all, nothing kept, nothing understood.

Above lies the mesh, which makes and reads packets of the Moleculer protocol; below lies a broker, or a dictionary for
nodes in one process. Commands are Moleculer's (`INFO`, `REQ`, `RES` ...), so that an adapter can use the topics, queues
and exchanges that Moleculer's own transporter of the same name uses.
"""

from collections.abc import Awaitable, Callable
from typing import Protocol

from fireside.core.errors import UnavailableError

Receiver = Callable[[str, bytes], None]
"""Takes a command and a packet. It returns at once: what a packet causes is done elsewhere."""


class TransporterError(UnavailableError):
    """The transporter could not connect, or could not send."""

    code = "transporter_unavailable"


class Transporter(Protocol):
    """Delivers packets, at most once, in order from one sender to one receiver.

    Where the broker has a queue for each command (AMQP), the order holds for each command by itself, and a DISCONNECT
    comes after what was sent before it.
    """

    async def connect(self, receive: Receiver, *, on_reconnect: Callable[[], None]) -> None:
        """Get ready to send and receive.

        Args:
            receive: Called with every packet of a subscribed command.
            on_reconnect: Called when a lost connection is back and the subscriptions stand again. What was sent to
                this node meanwhile is lost.

        Raises:
            TransporterError: The broker cannot be reached or refuses; calling again may help.
        """
        ...

    async def subscribe(self, command: str, *, node_id: str | None = None) -> None:
        """Receive packets of a command from now on: when this returns, none that is sent is missed.

        Args:
            command: As Moleculer names it: DISCOVER, INFO, HEARTBEAT, REQ, RES, EVENT, PING, PONG, DISCONNECT.
            node_id: Those sent to this node; those sent to all when None.

        Raises:
            TransporterError: The broker refuses, or is not connected.
        """
        ...

    def publish(self, command: str, packet: bytes, *, node_id: str | None = None) -> Awaitable[None]:
        """Send a packet; waits while the connection cannot take more.

        Args:
            command: As in `subscribe`.
            packet: The bytes to deliver.
            node_id: To one node; to all that subscribed, this one included, when None.

        Raises:
            TransporterError: It could not be sent.
        """
        ...

    async def disconnect(self) -> None:
        """Send what waits to be sent, then let go of the connection. Safe to call twice."""
        ...
