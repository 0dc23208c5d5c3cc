"""The drivers of brokers alone, with the durability that the event streams ask for: what `facts` compares them with.

Every fact is a message of its own, confirmed by the broker; a batch is on its way at once.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, Protocol

import aio_pika
import nats
import nats.errors
from nats.js import api
from redis.asyncio import Redis

NAME = "bare"
BATCH = 200

Receive = Callable[[Sequence[bytes]], Awaitable[None]]


class Bare(Protocol):
    """One driver, with a queue of its own."""

    async def open(self, url: str) -> None:
        """Connect and make the queue."""
        ...

    async def publish(self, bodies: Sequence[bytes]) -> None:
        """Send; returns when the broker has confirmed each."""
        ...

    async def consume(self, receive: Receive, until: asyncio.Event) -> None:
        """Receive, and acknowledge what was taken, until told or cancelled."""
        ...

    async def close(self) -> None:
        """Disconnect."""
        ...


class BareRabbit:
    """A quorum queue, persistent messages, publisher confirms."""

    async def open(self, url: str) -> None:
        """Connect and make the queue."""
        self._connection = await aio_pika.connect(url)
        self._channel = await self._connection.channel(publisher_confirms=True)
        self._queue = await self._declare(self._channel)

    async def publish(self, bodies: Sequence[bytes]) -> None:
        """Send, and wait for all confirmations."""
        exchange, mode = self._channel.default_exchange, aio_pika.DeliveryMode.PERSISTENT
        messages = (aio_pika.Message(body, delivery_mode=mode) for body in bodies)
        await asyncio.gather(*(exchange.publish(message, NAME) for message in messages))

    async def consume(self, receive: Receive, until: asyncio.Event) -> None:
        """Receive, in batches of what has arrived."""
        async with self._connection.channel(publisher_confirms=False) as channel:
            await channel.set_qos(prefetch_count=BATCH)
            arrived = asyncio.Queue[aio_pika.abc.AbstractIncomingMessage]()
            await (await self._declare(channel)).consume(arrived.put)
            while not until.is_set():
                batch = [await arrived.get()]
                while not arrived.empty():
                    batch.append(arrived.get_nowait())
                await receive([message.body for message in batch])
                await batch[-1].ack(multiple=True)

    async def close(self) -> None:
        """Disconnect."""
        await self._connection.close()

    async def _declare(self, channel: Any) -> Any:
        return await channel.declare_queue(NAME, durable=True, arguments={"x-queue-type": "quorum"})


class BareJetStream:
    """A stream in a file, acknowledged publications, a durable pull consumer."""

    async def open(self, url: str) -> None:
        """Connect and make the queue."""
        self._client = await nats.connect(url)
        self._stream = self._client.jetstream()
        await self._stream.add_stream(api.StreamConfig(name=NAME, subjects=[NAME], storage=api.StorageType.FILE))
        self._subscription = await self._stream.pull_subscribe(NAME, durable=NAME)

    async def publish(self, bodies: Sequence[bytes]) -> None:
        """Send, and wait for all confirmations."""
        await asyncio.gather(*(self._stream.publish(NAME, body) for body in bodies))

    async def consume(self, receive: Receive, until: asyncio.Event) -> None:
        """Receive, in batches of what has arrived."""
        while not until.is_set():
            with suppress(nats.errors.TimeoutError):
                batch = await self._subscription.fetch(BATCH, timeout=1)
                await receive([message.data for message in batch])
                for message in batch:
                    await message.ack()

    async def close(self) -> None:
        """Disconnect."""
        await self._client.close()


class BareRedis:
    """A stream, entries added in a pipeline, a consumer group."""

    async def open(self, url: str) -> None:
        """Connect and make the queue."""
        self._client = Redis.from_url(url)
        await self._client.xgroup_create(NAME, NAME, mkstream=True)

    async def publish(self, bodies: Sequence[bytes]) -> None:
        """Send, and wait for all confirmations."""
        async with self._client.pipeline(transaction=False) as pipeline:
            for body in bodies:
                pipeline.xadd(NAME, {"fact": body})
            await pipeline.execute()

    async def consume(self, receive: Receive, until: asyncio.Event) -> None:
        """Receive, in batches of what has arrived."""
        while not until.is_set():  # the driver overhears a cancellation
            answer: Any = await self._client.xreadgroup(NAME, NAME, {NAME: ">"}, count=BATCH, block=200)
            streams: dict[Any, list[Any]] = dict(answer or ())  # pairs, in one version of the protocol
            for entries in streams.values():
                await receive([fields[b"fact"] for _, fields in entries])
                await self._client.xack(NAME, NAME, *(entry for entry, _ in entries))

    async def close(self) -> None:
        """Disconnect."""
        await self._client.aclose()
