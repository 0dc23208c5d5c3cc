"""Packets over NATS (core, no JetStream), on the subjects of Moleculer's own NATS transporter."""

import asyncio
from functools import lru_cache
from random import shuffle
from urllib.parse import urlsplit

from fireside.adapters.transporter.broker import CONNECT_TIMEOUT_S, FLUSH_TIMEOUT_S, BrokerTransporter, Line
from fireside.adapters.transporter.nats_wire import NatsWire
from fireside.adapters.transporter.topics import Topic, Topics, without_password
from fireside.ports.transporter import Receiver, Transporter, TransporterError

_NAMES_KEPT = 1024


def nats_transporter(url: str, *, node_id: str, namespace: str = "") -> Transporter:
    """A transporter over one NATS server or a cluster of them.

    Args:
        url: `nats://[user:password@]host[:port]`, several with commas between them.
        node_id: Names the connection on the server.
        namespace: Separates clusters that share the server.

    Raises:
        ValueError: A port is no number.
    """
    topics, servers = Topics(namespace), [_with_scheme(server) for server in url.split(",")]

    def make_line(receive: Receiver) -> Line:
        return NatsLine(topics, receive, servers=servers, name=f"fireside {node_id}")

    return BrokerTransporter(make_line, shown_url=without_password(url))


def _with_scheme(server: str) -> str:
    url = server.strip() if "://" in server else f"nats://{server.strip()}"
    _ = urlsplit(url).port
    return url


class NatsLine:
    """A `Line` to a NATS server."""

    def __init__(self, topics: Topics, receive: Receiver, *, servers: list[str], name: str) -> None:
        self._receive, self._name = receive, name
        self._servers = list(servers)
        self._shown_url = without_password(",".join(servers))
        self._topics = topics
        self._subject = lru_cache(maxsize=_NAMES_KEPT)(self._subject_of)
        self._command = lru_cache(maxsize=_NAMES_KEPT)(self._command_in)
        self._subscribed = 0
        self._wire = self._make_wire(servers[0])

    @property
    def broken(self) -> asyncio.Future[str]:
        """Says why, as soon as the line is of no more use."""
        return self._wire.broken

    async def open(self) -> None:
        """Connect to any server that answers.

        Raises:
            TransporterError: None does, or none lets us in.
        """
        shuffle(self._servers)
        detail = ""
        for server in self._servers:
            self._wire = self._make_wire(server)
            try:
                async with asyncio.timeout(CONNECT_TIMEOUT_S):
                    await self._wire.open()
                    return
            except TransporterError as error:
                detail = error.message
            except (OSError, TimeoutError) as error:
                detail = str(error) or "no answer"
            self._wire.abort()
        raise TransporterError(f"cannot connect to {self._shown_url}: {detail}")

    async def subscribe(self, topic: Topic) -> None:
        """Subscribe; the round trip after it makes sure that the server has heard."""
        self._subscribed += 1
        self._wire.subscribe(self._subject(topic), self._subscribed)
        await self.flush()

    async def publish(self, topic: Topic, packet: bytes) -> None:
        """Send a packet."""
        wire = self._wire
        while not wire.has_room:
            await wire.wait_for_room()
        if len(packet) > wire.max_payload:
            what = f"a {topic.command} of {len(packet)} bytes"
            raise TransporterError(f"{what}; NATS takes {wire.max_payload} (max_payload)")
        wire.publish(self._subject(topic), packet)

    async def flush(self) -> None:
        """Wait for the answer to a PING that follows all that was published."""
        try:
            async with asyncio.timeout(FLUSH_TIMEOUT_S):
                await self._wire.round_trip()
        except TimeoutError as error:
            raise TransporterError(f"{self._shown_url} does not answer") from error

    async def close(self) -> None:
        """Close the connection."""
        self._wire.close()

    def _subject_of(self, topic: Topic) -> bytes:
        return self._topics.name(topic).encode()

    def _command_in(self, subject: bytes) -> str:
        return self._topics.command(subject.decode())

    def _make_wire(self, server: str) -> NatsWire:
        return NatsWire(server, name=self._name, on_message=self._take)

    def _take(self, subject: bytes, packet: bytes) -> None:
        self._receive(self._command(subject), packet)
