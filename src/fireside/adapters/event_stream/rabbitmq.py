"""`amqp://`, `amqps://`: facts through RabbitMQ 3.10 or newer.

Facts go to a topic exchange under their topics; each consumer group has a quorum queue of its own, bound to its topics.
A message carries the facts that were published together, one JSON object a line, under all of their topics at once, and
the next is sent when it is confirmed: so a queue that is full refuses everything from some fact on, and never single
facts between others, which would come later in the wrong order.

Quorum queues write to disk before they confirm. A group's queue serves one consumer at a time (single active consumer),
because order matters and because the work that a member does is a single insert into its inbox: the next member takes
over when it is gone, and gets what it had not acknowledged first. Facts that no group asks for are dropped by the
exchange, as they should be, so nothing is published as mandatory.

A message with a line that is no fact is rejected once the facts in it were taken: the dead-letter exchange of every
group's queue puts it into the one queue of rejected messages, where it stays.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import aio_pika
import structlog
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractExchange, AbstractQueue, DeliveryMode
from aio_pika.abc import AbstractIncomingMessage as Delivery
from yarl import URL

from fireside.adapters.event_stream.envelope_codec import JoinedFacts, NotAnEnvelopeError, decode, messages
from fireside.adapters.event_stream.link import BrokerAwayError, Link
from fireside.adapters.event_stream.member import Member, Members
from fireside.adapters.event_stream.names import original, plain, prefix
from fireside.adapters.event_stream.rabbitmq_client import (
    PATIENCE_S,
    close_channel,
    disconnect,
    new_connection,
    translated,
)
from fireside.ports.event_stream import EventEnvelope, EventStreamError, Receive, RejectedMessage

log = structlog.stdlib.get_logger(__name__)

_LOOK_AFTER_QUEUE_S = 5.0
_BATCH = 20
_LONGEST_MESSAGE_BYTES = 256 * 1024
# RabbitMQ 4 gives a message up after 20 deliveries unless it is told otherwise; here giving up is the inbox's business
_DELIVERIES = 2**31 - 1

_Deliveries = asyncio.Queue[Delivery | None]


class RabbitEventStream:
    """The event stream on RabbitMQ."""

    def __init__(self, url: str, *, namespace: str = "") -> None:
        """Describe a stream; nothing is sent before `open`.

        Args:
            url: `amqp://user:password@host:port/vhost`.
            namespace: Separates clusters that share a virtual host.
        """
        self._url = URL(url)
        self._name = f"{prefix(namespace)}.facts"
        self._members = Members()
        self._link = Link[AbstractConnection](
            connect=lambda: new_connection(self._url),
            is_open=lambda connection: connection.connected.is_set(),
            disconnect=disconnect,
        )
        self._publishing: tuple[AbstractConnection, AbstractChannel] | None = None
        self._turn = asyncio.Lock()

    async def open(self) -> None:
        """Connect, if RabbitMQ is there.

        Raises:
            EventStreamError: It refuses the credentials or the virtual host.
        """
        with suppress(BrokerAwayError):
            async with translated():
                await self._link.get()

    async def close(self) -> None:
        """End all subscriptions and disconnect."""
        await self._members.close()
        await self._link.close()

    def destinations(self) -> Mapping[str, frozenset[str] | None]:
        """RabbitMQ, which stores for all groups."""
        return {f"amqp:{self._name}": None}

    async def publish(self, destination: str, events: Sequence[EventEnvelope]) -> None:
        """Hand facts over; returns when the queues of all groups have them on disk."""
        if destination not in self.destinations():
            raise EventStreamError(f"there is no destination {destination}", destination=destination)
        async with translated(), self._turn, asyncio.timeout(PATIENCE_S):
            try:
                exchange = await self._exchange()
                for joined in messages(events, longest_bytes=_LONGEST_MESSAGE_BYTES):
                    await exchange.publish(_message(joined), joined.topics[0], mandatory=False)
            except BaseException:
                # nothing of this batch may follow once it is published anew
                await self._end_publishing()
                raise

    async def subscribe(self, group: str, topics: frozenset[str], receive: Receive) -> Member:
        """Join a group; its queue is made where it is not there."""
        return await self._members.add(Member(group, topics, receive, self._session))

    async def rejected(self, *, limit: int = 100) -> Sequence[RejectedMessage]:
        """What lies in the queue of rejected messages; reading leaves it there."""
        async with translated(), self._channel() as channel:
            return [message async for _, message in self._put_aside(channel, limit)]

    async def offer_again(self, message_id: UUID) -> bool:
        """Send it to the queue of its group, and remove it from that of rejected messages."""
        async with translated(), self._channel() as channel, self._channel(publisher_confirms=True) as sending:
            async for delivery, message in self._put_aside(channel, None):
                if message.id == message_id:
                    again = aio_pika.Message(message.body, delivery_mode=DeliveryMode.PERSISTENT)
                    await sending.default_exchange.publish(again, self._queue_of(message.group))
                    await delivery.ack()
                    return True
        return False

    async def _put_aside(
        self, channel: AbstractChannel, limit: int | None
    ) -> AsyncGenerator[tuple[Delivery, RejectedMessage]]:
        """Rejected messages, oldest first; those that are not acknowledged stay where they are."""
        queue, number = await self._declare_rejected(channel), 0
        while number != limit and (delivery := await queue.get(fail=False, timeout=PATIENCE_S)) is not None:
            deaths: Any = delivery.headers.get("x-death") or [{}]
            group = original(str(deaths[0].get("queue", "")).removeprefix(f"{self._name}."))
            yield delivery, RejectedMessage(group, delivery.body, deaths[0].get("time") or datetime.now(UTC))
            number += 1

    async def shortcomings(self) -> Sequence[str]:
        """None: a quorum queue is on disk before a publication is confirmed, whatever the server's settings."""
        async with translated():
            await self._link.get()
        return ()

    @asynccontextmanager
    async def _channel(self, *, publisher_confirms: bool = False) -> AsyncGenerator[AbstractChannel]:
        """A channel that returns to their queue, in order, the messages that were not acknowledged on it."""
        connection = await self._link.get()
        async with asyncio.timeout(PATIENCE_S):
            channel = await connection.channel(publisher_confirms=publisher_confirms)
        try:
            yield channel
        finally:
            await close_channel(connection, channel)

    async def _exchange(self) -> AbstractExchange:
        if self._publishing is not None and not self._publishing[1].is_closed:
            return await self._publishing[1].get_exchange(self._name, ensure=False)
        connection = await self._link.get()
        self._publishing = connection, await connection.channel(publisher_confirms=True)
        return await self._declare_exchange(self._publishing[1])

    async def _end_publishing(self) -> None:
        publishing, self._publishing = self._publishing, None
        if publishing is not None:
            await close_channel(*publishing)

    async def _session(self, member: Member) -> None:
        async with translated(), self._channel() as channel:
            deliveries = _Deliveries()

            def end(_channel: AbstractChannel | None, _error: BaseException | None) -> None:
                deliveries.put_nowait(None)

            channel.close_callbacks.add(end)
            async with asyncio.timeout(PATIENCE_S):
                queue = await self._declare_group(channel, member)
                await channel.set_qos(prefetch_count=_BATCH)
                await queue.consume(deliveries.put)
            member.joined()
            while not member.closing:
                await _take(member, await self._next(deliveries, queue))

    async def _next(self, deliveries: _Deliveries, queue: AbstractQueue) -> list[Delivery]:
        """Everything that has arrived, at least one message."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_AFTER_QUEUE_S):
                    arrived = [await deliveries.get()]
                break
            async with asyncio.timeout(PATIENCE_S):
                if not (await queue.declare()).consumer_count:
                    raise BrokerAwayError(f"the queue {queue.name} was made anew")
        while not deliveries.empty():
            arrived.append(deliveries.get_nowait())
        messages = [message for message in arrived if message is not None]
        if len(messages) < len(arrived):
            raise BrokerAwayError("the connection to RabbitMQ was lost")
        return messages

    async def _declare_exchange(self, channel: AbstractChannel) -> AbstractExchange:
        return await channel.declare_exchange(self._name, aio_pika.ExchangeType.TOPIC, durable=True)

    async def _declare_rejected(self, channel: AbstractChannel) -> AbstractQueue:
        name = f"{self._name}-rejected"
        exchange = await channel.declare_exchange(name, aio_pika.ExchangeType.FANOUT, durable=True)
        queue = await channel.declare_queue(name, durable=True, arguments=_quorum())
        await queue.bind(exchange)
        return queue

    async def _declare_group(self, channel: AbstractChannel, member: Member) -> AbstractQueue:
        exchange = await self._declare_exchange(channel)
        rejected = await self._declare_rejected(channel)
        arguments = _quorum() | {
            "x-single-active-consumer": True,
            "x-dead-letter-exchange": rejected.name,
            # a rejected message leaves the queue only once the queue of rejected ones has confirmed it
            "x-dead-letter-strategy": "at-least-once",
            "x-overflow": "reject-publish",
        }
        queue = await channel.declare_queue(self._queue_of(member.group), durable=True, arguments=arguments)
        for topic in sorted(member.topics):
            await queue.bind(exchange, topic)
        return queue

    def _queue_of(self, group: str) -> str:
        return f"{self._name}.{plain(group)}"


async def _take(member: Member, arrived: Sequence[Delivery]) -> None:
    """Hand over the facts in messages; a message with a line that is none is put aside as a whole after that."""
    facts, good, bad = list[EventEnvelope](), list[Delivery](), list[Delivery]()
    for message in arrived:
        found, errors = _facts(message.body)
        facts += found
        (bad if errors else good).append(message)
        for error in errors:
            log.warning("message_rejected", group=member.group, error=error)
    await member.take(facts)
    for message in bad:
        await message.reject(requeue=False)
    if good:
        await good[-1].ack(multiple=True)


def _facts(body: bytes) -> tuple[list[EventEnvelope], list[str]]:
    """The facts in a message, and what is wrong with lines that are none."""
    facts, errors = list[EventEnvelope](), list[str]()
    for line in body.split(b"\n"):
        try:
            facts.append(decode(line))
        except NotAnEnvelopeError as error:
            errors.append(str(error))
    return facts, errors


def _message(joined: JoinedFacts) -> aio_pika.Message:
    return aio_pika.Message(
        joined.body,
        content_type="application/x-ndjson",
        delivery_mode=DeliveryMode.PERSISTENT,
        headers={"CC": list(joined.topics[1:])},
        message_id=joined.id,
        app_id="fireside",
    )


def _quorum() -> dict[str, Any]:
    return {"x-queue-type": "quorum", "x-delivery-limit": _DELIVERIES}
