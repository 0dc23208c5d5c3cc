"""Packets over AMQP 0-9-1 (RabbitMQ), in the exchanges and queues of Moleculer's own AMQP transporter.

What is sent to all goes through a durable fanout exchange a command (`MOL.INFO`), to which each node binds a queue of
its own (`MOL.INFO.<node id>`); what is sent to one node goes to its queue directly.
"""

import asyncio
import itertools
from collections.abc import Generator
from contextlib import contextmanager

import aiormq
from aiormq.abc import AbstractChannel, AbstractConnection, ArgumentsType, DeliveredMessage
from aiormq.exceptions import AMQPError
from pamqp.commands import Basic
from yarl import URL

from fireside.adapters.transporter.broker import PULSE_S, BrokerTransporter, Line
from fireside.adapters.transporter.topics import Topic, Topics, without_password
from fireside.ports.transporter import Receiver, Transporter, TransporterError

QUEUE_EXPIRES_MS = 2 * 60 * 1000
"""A queue for calls, answers or events goes away when nobody has listened for so long, as Moleculer has it."""
_KEPT_FOR_A_WHILE = {"REQ", "RES", "EVENT"}
_CONNECTION_LOST = (AMQPError, OSError, RuntimeError, asyncio.InvalidStateError)
"""What the driver raises: it also uses RuntimeError and InvalidStateError of a connection that is no more."""


def amqp_transporter(url: str, *, node_id: str, namespace: str = "") -> Transporter:
    """A transporter over a RabbitMQ server or cluster.

    Args:
        url: `amqp://` or `amqps://[user:password@]host[:port][/vhost]`, several with semicolons between them.
        node_id: Of this node; its queues are named after it.
        namespace: Separates clusters that share a virtual host.
    """
    topics = Topics(namespace)
    servers = itertools.cycle([part for part in url.split(";") if part])

    def make_line(receive: Receiver) -> Line:
        return AmqpLine(topics, receive, node_id=node_id, url=next(servers))

    return BrokerTransporter(make_line, shown_url=without_password(url))


class AmqpLine:
    """A `Line` to an AMQP broker: one connection with one channel, which keeps the packets of a command in order."""

    def __init__(self, topics: Topics, receive: Receiver, *, node_id: str, url: str) -> None:
        self._topics, self._receive = topics, receive
        self._node_id, self._url, self._shown_url = node_id, url, without_password(url)
        self._broken: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._connection: AbstractConnection | None = None
        self._channel: AbstractChannel | None = None
        self._exchanges: set[str] = set()
        self._queues: set[str] = set()

    @property
    def broken(self) -> asyncio.Future[str]:
        """Says why, as soon as the line is of no more use."""
        return self._broken

    async def open(self) -> None:
        """Connect.

        Raises:
            TransporterError: The broker does not answer, or does not let us in.
        """
        address = URL(self._url)
        if "heartbeat" not in address.query:
            address = address.update_query(heartbeat=int(2 * PULSE_S))
        with self._translated_errors("cannot connect to "):
            self._connection = await aiormq.connect(address)
            self._channel = await self._connection.channel(publisher_confirms=False)
        self._connection.closing.add_done_callback(self._note_closed)
        self._channel.closing.add_done_callback(self._note_closed)

    async def subscribe(self, topic: Topic) -> None:
        """Listen to this node's queue for the topic, emptied of what an earlier connection left there.

        Nobody else may listen to it: two nodes of one name would each get a part of what is meant for one.
        """
        queue = self._topics.name(Topic(topic.command, topic.node_id or self._node_id))
        with self._translated_errors():
            if queue not in self._queues:
                await self._listen(queue, topic.command)
                self._queues.add(queue)
            if topic.node_id is None:
                await self._open_channel().queue_bind(queue, await self._exchange(topic))

    async def _listen(self, queue: str, command: str) -> None:
        auto_delete = command not in _KEPT_FOR_A_WHILE
        arguments: ArgumentsType = {} if auto_delete else {"x-expires": QUEUE_EXPIRES_MS}

        async def take(message: DeliveredMessage) -> None:
            self._receive(command, message.body)

        channel = self._open_channel()
        await channel.queue_declare(queue, durable=True, auto_delete=auto_delete, arguments=arguments)
        await channel.queue_purge(queue)
        await channel.basic_consume(queue, take, no_ack=True, exclusive=True)

    async def publish(self, topic: Topic, packet: bytes) -> None:
        """Send a packet; waits until the socket has taken it."""
        channel = self._open_channel()
        if topic.command == "DISCONNECT":
            await self.flush()  # queues know no order among each other: what was sent before must be in its queue
        with self._translated_errors():
            if topic.node_id is None:
                exchange, routing_key = await self._exchange(topic), ""
            else:
                exchange, routing_key = "", self._topics.name(topic)
            await channel.basic_publish(
                packet, exchange=exchange, routing_key=routing_key, properties=Basic.Properties(delivery_mode=1)
            )

    async def flush(self) -> None:
        """Wait for the broker's answer to a question that follows all that was published."""
        channel = self._open_channel()
        with self._translated_errors():
            await channel.basic_qos(prefetch_count=0)

    async def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            try:
                await self._connection.close()
            except _CONNECTION_LOST:
                return  # it was lost before

    async def _exchange(self, topic: Topic) -> str:
        """The exchange of a command, which is declared once a connection: to publish where none is ends the channel."""
        name = self._topics.name(topic)
        if name not in self._exchanges:
            await self._open_channel().exchange_declare(name, exchange_type="fanout", durable=True)
            self._exchanges.add(name)
        return name

    def _open_channel(self) -> AbstractChannel:
        if self._channel is None or self._broken.done():
            raise TransporterError(f"the connection to {self._shown_url} was lost")
        return self._channel

    def _note_closed(self, closing: "asyncio.Future[None]") -> None:
        error = None if closing.cancelled() else closing.exception()
        if not self._broken.done():
            self._broken.set_result("closed" if error is None else _reason(error))

    @contextmanager
    def _translated_errors(self, doing: str = "") -> Generator[None]:
        try:
            yield
        except _CONNECTION_LOST as error:
            raise TransporterError(f"{doing}{self._shown_url}: {_reason(error)}") from error
        except asyncio.CancelledError as error:
            if _is_cancelled():
                raise
            raise TransporterError(f"{doing}{self._shown_url}: the connection was lost") from error


def _is_cancelled() -> bool:
    """Whether it is this task that was cancelled, and not one of the driver's whose end the driver hands on."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _reason(error: BaseException) -> str:
    return str(error) or type(error).__name__
