"""`nats://`, `tls://`: facts through NATS JetStream 2.9 or newer.

One stream on disk holds the facts; each consumer group is a durable pull consumer. A message carries the facts that
were published together, one JSON object a line, and a group has one message at a time on its way (`max_ack_pending` 1).
So it is the server that keeps the order: whatever happens to members, nothing is delivered to any of them before what
went before it was acknowledged. The size of the messages makes up for it.

What all groups have acknowledged is trimmed from time to time, but never the newest message: a server that is killed
while its stream is empty numbers messages anew from lower down (seen in 2.9 with retention by interest), and consumers
that were further would take the next ones for acknowledged.

JetStream acknowledges a publication once the operating system has it: that survives the loss of the server's process.
Only a server with `sync_interval: always` in its `jetstream` block (2.10 or newer) has it on disk by then; without it,
and without replicas, the last minutes can be lost when the whole machine fails. `shortcomings` tells what it can see.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

import nats.errors
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext, api
from nats.js.errors import APIError, BadRequestError, NotFoundError, ServiceUnavailableError

from fireside.adapters.event_stream.envelope_codec import NotAnEnvelopeError, decode, messages
from fireside.adapters.event_stream.jetstream_client import PATIENCE_S, disconnect, new_client, translated
from fireside.adapters.event_stream.link import BrokerAwayError, Link
from fireside.adapters.event_stream.member import Member, Members
from fireside.adapters.event_stream.names import plain, prefix
from fireside.core.tasks import end
from fireside.ports.event_stream import EventEnvelope, EventStreamError, Receive, RejectedMessage

log = structlog.stdlib.get_logger(__name__)

_LONGEST_MESSAGE_BYTES = 256 * 1024
_DUPLICATES_S = 120.0
_REJECTED_KEPT = 10_000
_KEPT_FOR_NOBODY = 1_000
_TRIM_EVERY = 200
_NAME_TAKEN = 10058
_GROUP, _MESSAGE_ID = "Fireside-Group", "Nats-Msg-Id"


class JetStreamEventStream:
    """The event stream on NATS JetStream."""

    def __init__(self, url: str, *, namespace: str = "", replicas: int = 1, take_over_s: float = 10.0) -> None:
        """Describe a stream; nothing is sent before `open`.

        Args:
            url: `nats://user:password@host:port`; several, separated by commas, for a cluster.
            namespace: Separates clusters that share an account.
            replicas: How many servers of a cluster store each fact.
            take_over_s: After how long without a sign of life another member gets what one was given.
        """
        self._servers = url.split(",")
        self._name = f"{prefix(namespace)}-facts"
        self._rejected_name = f"{self._name}-rejected"
        self._replicas = replicas
        self._take_over_s = take_over_s
        self._members = Members()
        self._link = Link[Client](
            connect=self._connect, is_open=lambda client: client.is_connected, disconnect=disconnect
        )
        self._turn = asyncio.Lock()
        self._untrimmed = 0

    async def open(self) -> None:
        """Connect, if NATS is there.

        Raises:
            EventStreamError: It refuses the credentials, or offers no JetStream.
        """
        with suppress(BrokerAwayError):
            async with translated():
                await self._link.get()

    async def close(self) -> None:
        """End all subscriptions and disconnect."""
        await self._members.close()
        await self._link.close()

    def destinations(self) -> Mapping[str, frozenset[str] | None]:
        """JetStream, which stores for all groups."""
        return {f"nats:{self._name}": None}

    async def publish(self, destination: str, events: Sequence[EventEnvelope]) -> None:
        """Hand facts over; returns when the stream has stored them. The same ones at once again are dropped."""
        if destination not in self.destinations():
            raise EventStreamError(f"there is no destination {destination}", destination=destination)
        async with translated(), self._turn:
            client = await self._link.get()
            stream = client.jetstream(timeout=PATIENCE_S)
            if self._untrimmed >= _TRIM_EVERY:
                await self._trim(client, stream)
                self._untrimmed = 0
            try:
                for joined in messages(events, longest_bytes=_LONGEST_MESSAGE_BYTES):
                    await stream.publish(self._name, joined.body, stream=self._name, headers={_MESSAGE_ID: joined.id})
                    self._untrimmed += 1
            except APIError:  # full, as it seems: room is made before the next attempt
                self._untrimmed = _TRIM_EVERY
                raise

    async def subscribe(self, group: str, topics: frozenset[str], receive: Receive) -> Member:
        """Join a group; its consumer is made where it is not there."""
        return await self._members.add(Member(group, topics, receive, self._session))

    async def rejected(self, *, limit: int = 100) -> Sequence[RejectedMessage]:
        """What the stream of rejected messages holds."""
        async with translated():
            stream = (await self._link.get()).jetstream(timeout=PATIENCE_S)
            return [message async for _, message in self._put_aside(stream, limit)]

    async def offer_again(self, message_id: UUID) -> bool:
        """Publish it to all groups, and remove it from the stream of rejected messages."""
        async with translated(), self._turn:
            stream = (await self._link.get()).jetstream(timeout=PATIENCE_S)
            async for sequence, message in self._put_aside(stream, None):
                if message.id == message_id:
                    await stream.publish(self._name, message.body, stream=self._name)
                    await stream.delete_msg(self._rejected_name, sequence)
                    return True
        return False

    async def _put_aside(
        self, stream: JetStreamContext, limit: int | None
    ) -> AsyncGenerator[tuple[int, RejectedMessage]]:
        state = (await stream.stream_info(self._rejected_name)).state
        for sequence in range(state.first_seq, state.last_seq + 1)[:limit]:
            with suppress(NotFoundError):
                message = await stream.get_msg(self._rejected_name, sequence)
                group = str(cast(dict[str, Any], message.headers or {}).get(_GROUP, ""))
                yield sequence, RejectedMessage(group, message.data or b"", message.time or datetime.now(UTC))

    async def shortcomings(self) -> Sequence[str]:
        """That nothing is synced before it is acknowledged, as far as the version of the server tells."""
        async with translated():
            version = (await self._link.get()).connected_server_version
        if self._replicas > 1:
            return ()
        if (version.major, version.minor) < (2, 10):
            return (
                f"NATS {version} acknowledges facts before they are on disk: a failure of the machine can lose the "
                "last two minutes; use 2.10 or newer with `sync_interval: always`, or replicas",
            )
        return ("NATS does not tell whether it syncs before it acknowledges: see that it has `sync_interval: always`",)

    async def _trim(self, client: Client, stream: JetStreamContext) -> None:
        """Remove what every group has acknowledged; while there is no group, all but the newest messages."""
        state = (await stream.stream_info(self._name)).state
        groups = await stream.consumers_info(self._name)
        floors = [group.ack_floor.stream_seq if group.ack_floor else 0 for group in groups]
        needed = min(floors) if floors else state.last_seq - _KEPT_FOR_NOBODY
        # not by a purge: in 2.9 a consumer forgets what it has to deliver again when its stream is purged
        for sequence in range(state.first_seq, needed):
            request = b'{"seq":%d,"no_erase":true}' % sequence
            await client.request(f"$JS.API.STREAM.MSG.DELETE.{self._name}", request, timeout=PATIENCE_S)

    async def _connect(self) -> Client:
        client = await new_client(self._servers)
        try:
            await self._declare(client.jetstream(timeout=PATIENCE_S))
        except ServiceUnavailableError as error:
            await disconnect(client)
            raise EventStreamError("the NATS server offers no JetStream: start it with -js") from error
        except BaseException:
            await disconnect(client)
            raise
        return client

    async def _declare(self, stream: JetStreamContext) -> None:
        """Make the streams. One that is there stays as it is, so that operators can change its settings."""
        facts = api.StreamConfig(
            name=self._name,
            subjects=[self._name],
            storage=api.StorageType.FILE,
            num_replicas=self._replicas,
            duplicate_window=_DUPLICATES_S,
        )
        rejected = api.StreamConfig(
            name=self._rejected_name,
            subjects=[self._rejected_name],
            storage=api.StorageType.FILE,
            num_replicas=self._replicas,
            max_msgs=_REJECTED_KEPT,
        )
        for config in (facts, rejected):
            try:
                await stream.add_stream(config)
            except BadRequestError as error:
                if error.err_code != _NAME_TAKEN:
                    raise

    async def _session(self, member: Member) -> None:
        async with translated():
            client = await self._link.get()
            stream = client.jetstream(timeout=PATIENCE_S)
            consumer = await self._declare_group(stream, member.group)
            subscription = await stream.pull_subscribe_bind(consumer, stream=self._name)
            member.joined()
            try:
                while not member.closing:
                    message = await self._next(stream, subscription, member)
                    if message is not None:
                        await self._deliver(stream, member, message)
            finally:
                with suppress(nats.errors.Error):
                    await subscription.unsubscribe()

    async def _declare_group(self, stream: JetStreamContext, group: str) -> str:
        name = plain(group)
        try:
            await stream.consumer_info(self._name, name)
        except NotFoundError:
            config = api.ConsumerConfig(
                durable_name=name,
                ack_policy=api.AckPolicy.EXPLICIT,
                deliver_policy=api.DeliverPolicy.ALL,
                max_ack_pending=1,
                ack_wait=self._take_over_s,
            )
            await stream.add_consumer(self._name, config)
        return name

    async def _next(
        self, stream: JetStreamContext, subscription: JetStreamContext.PullSubscription, member: Member
    ) -> Msg | None:
        """The next message; None when none came for a while."""
        try:
            return (await subscription.fetch(1, timeout=PATIENCE_S))[0]
        except nats.errors.TimeoutError:
            await stream.consumer_info(self._name, plain(member.group))
        return None

    async def _deliver(self, stream: JetStreamContext, member: Member, message: Msg) -> None:
        alive = asyncio.create_task(self._show_life(message))
        try:
            await member.take(await self._facts(stream, member.group, message))
        except BaseException:
            alive.cancel()
            with suppress(nats.errors.Error):
                await message.nak()
            raise
        else:
            await message.ack()
        finally:
            await end(alive)

    async def _facts(self, stream: JetStreamContext, group: str, message: Msg) -> list[EventEnvelope]:
        """The facts of a message; what is none goes to the stream of rejected messages first."""
        facts = list[EventEnvelope]()
        for number, line in enumerate(message.data.split(b"\n")):
            try:
                facts.append(decode(line))
            except NotAnEnvelopeError as error:
                log.warning("message_rejected", group=group, error=str(error))
                headers = {_GROUP: group, _MESSAGE_ID: f"{group}:{message.metadata.sequence.stream}:{number}"}
                await stream.publish(self._rejected_name, line, stream=self._rejected_name, headers=headers)
        return facts

    async def _show_life(self, message: Msg) -> None:
        with suppress(nats.errors.Error):
            while True:
                await asyncio.sleep(self._take_over_s / 3)
                await message.in_progress()
