"""`redis://`, `rediss://`, `redis+sentinel://`, `redis+cluster://`: facts through Redis Streams, 6.2 or newer.

All facts are entries of one stream, on which each consumer group has its place. A group has one member at work, the one
that holds its lease; all members speak to Redis as the same consumer, so whoever takes over finds what was delivered
and not acknowledged as its own, oldest first, and needs to claim nothing. A member that was paused and does not know
that its lease is gone does no harm: right before it hands facts over it acknowledges those before them and asks whether
everything before them is acknowledged and the lease is still its own, in one step.

What every group has acknowledged is trimmed; an entry that a group has not acknowledged never is.

Redis keeps a publication through the loss of its process, or of the machine, only with `appendonly yes` and
`appendfsync always`; a replica gets it later unless `replicas` says how many have to have it first. `shortcomings`
tells what is missing.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, cast
from uuid import UUID, uuid4

import structlog
from redis.asyncio import Redis
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    NoPermissionError,
    OutOfMemoryError,
    RedisError,
    ResponseError,
)

from fireside.adapters.event_stream.envelope_codec import NotAnEnvelopeError, decode, encode
from fireside.adapters.event_stream.link import BrokerAwayError
from fireside.adapters.event_stream.member import Member, Members
from fireside.adapters.event_stream.names import prefix
from fireside.adapters.event_stream.redis_answers import Entry, entries_in, moment_of, text
from fireside.adapters.event_stream.redis_scripts import APPEND, GO_ON, HOLD, RELEASE, TRIM
from fireside.adapters.redis_clients import close_redis_client, make_redis_client, read_address
from fireside.core.errors import InvalidInputError
from fireside.core.tasks import end
from fireside.ports.event_stream import EventEnvelope, EventStreamError, Receive, RejectedMessage

log = structlog.stdlib.get_logger(__name__)

_CONSUMER = "member"
_DELIVERED, _NEW = "0", ">"
_BATCH = 1_000
_TRIM_EVERY = 1_000
_KEPT_FOR_NOBODY = 10_000
_REJECTED_KEPT = 10_000
_REPLICAS_MS = 3_000
_LONGEST_BLOCK_S = 2.0
_ANSWER_S = 5.0


class RedisEventStream:
    """The event stream on Redis."""

    def __init__(self, url: str, *, namespace: str = "", replicas: int = 0, take_over_s: float = 10.0) -> None:
        """Describe a stream; nothing is sent before `open`.

        Args:
            url: As `fireside.adapters.redis_clients` describes.
            namespace: Separates clusters that share a database.
            replicas: How many replicas must have a fact before it counts as published; not on a cluster.
            take_over_s: After how long without a sign of life another member goes on for one.

        Raises:
            InvalidInputError: Replicas are asked for on a cluster, or the URL is none of Redis.
        """
        if replicas and read_address(url).kind == "+cluster":
            raise InvalidInputError("a Redis cluster cannot be made to wait for replicas: leave out `replicas`")
        # a client of a cluster has the commands that are used here, with the same arguments
        self._client = cast(Redis, make_redis_client(url, timeout_s=_ANSWER_S, retries=0))
        # the braces keep all keys in one slot of a cluster
        self._stream = f"{{{prefix(namespace)}.facts}}"
        self._rejected = f"{self._stream}:rejected"
        self._replicas = replicas
        self._take_over_s = take_over_s
        self._members = Members()
        self._turn = asyncio.Lock()
        self._untrimmed = 0
        self._closed = False

    async def open(self) -> None:
        """See whether Redis is there.

        Raises:
            EventStreamError: It refuses the credentials, or may not be used with them.
        """
        with suppress(BrokerAwayError):
            async with _translated():
                await self._eval(TRIM, [self._stream], _KEPT_FOR_NOBODY)

    async def close(self) -> None:
        """End all subscriptions and disconnect."""
        self._closed = True
        await self._members.close()
        async with _translated():
            await close_redis_client(self._client)

    def destinations(self) -> Mapping[str, frozenset[str] | None]:
        """Redis, which stores for all groups."""
        return {f"redis:{self._stream}": None}

    async def publish(self, destination: str, events: Sequence[EventEnvelope]) -> None:
        """Hand facts over: all of them or none, and to so many replicas as were asked for."""
        if destination not in self.destinations():
            raise EventStreamError(f"there is no destination {destination}", destination=destination)
        if self._closed:
            raise EventStreamError("the event stream is closed")
        if not events:
            return
        async with _translated(), self._turn:
            if self._untrimmed >= _TRIM_EVERY:
                await self._eval(TRIM, [self._stream], _KEPT_FOR_NOBODY)
                self._untrimmed = 0
            facts = [encode(event) for event in events]
            try:
                if self._replicas:
                    await self._append_with_replicas(facts)
                else:
                    await self._eval(APPEND, [self._stream], *facts)
            except OutOfMemoryError:  # room is made before the next attempt
                self._untrimmed = _TRIM_EVERY
                raise
            self._untrimmed += len(facts)

    async def subscribe(self, group: str, topics: frozenset[str], receive: Receive) -> Member:
        """Join a group; one that is new begins with the oldest fact that is still there."""
        return await self._members.add(Member(group, topics, receive, self._session))

    async def rejected(self, *, limit: int = 100) -> Sequence[RejectedMessage]:
        """What the stream of rejected messages holds."""
        return [message for _, message in await self._put_aside(limit)]

    async def offer_again(self, message_id: UUID) -> bool:
        """Append it to the stream of all groups, and remove it from that of rejected messages."""
        for entry, message in await self._put_aside(None):
            if message.id == message_id:
                async with _translated(), self._turn:
                    await self._eval(APPEND, [self._stream], message.body)
                    await self._client.xdel(self._rejected, entry)
                return True
        return False

    async def _put_aside(self, limit: int | None) -> list[tuple[bytes, RejectedMessage]]:
        async with _translated():
            entries = cast(list[Entry], await self._client.xrange(self._rejected, count=limit))
        return [
            (entry, RejectedMessage(fields[b"group"].decode(), fields[b"body"], moment_of(entry)))
            for entry, fields in entries
            if fields is not None
        ]

    async def shortcomings(self) -> Sequence[str]:
        """Settings of the server with which facts that were published can be lost."""
        try:
            async with _translated():
                found = {**await self._config("appendonly"), **await self._config("appendfsync")}
                memory = await self._config("maxmemory-policy")
        except BrokerAwayError as error:
            if isinstance(error.__cause__, ResponseError):
                return ("Redis does not tell its settings: see that it has `appendonly yes`, `appendfsync always`",)
            raise
        missing = list[str]()
        if found != {"appendonly": "yes", "appendfsync": "always"}:
            missing.append("Redis can lose published facts: set `appendonly yes` and `appendfsync always`")
        if memory.get("maxmemory-policy", "noeviction").startswith("allkeys"):
            missing.append("Redis may evict facts when memory is short: set `maxmemory-policy noeviction`")
        return missing

    async def _config(self, name: str) -> dict[str, str]:
        found = cast(dict[Any, Any], await self._client.config_get(name))
        return {text(key): text(value) for key, value in found.items()}

    async def _eval(self, script: str, keys: Sequence[str], *arguments: str | bytes | float) -> Any:
        answer: Any = self._client.eval(script, len(keys), *keys, *cast(Sequence[Any], arguments))
        return await answer

    async def _append_with_replicas(self, facts: Sequence[bytes]) -> None:
        pipeline = self._client.pipeline(transaction=False)
        # WAIT counts the replicas that have what came before it on the same connection
        pipeline.eval(APPEND, 1, self._stream, *cast(Sequence[Any], facts))
        pipeline.execute_command("WAIT", self._replicas, _REPLICAS_MS)
        reached = int((await pipeline.execute())[1])
        if reached < self._replicas:
            raise EventStreamError(f"{reached} replicas of Redis have the facts, {self._replicas} are required")

    async def _session(self, member: Member) -> None:
        async with _translated():
            name, lease = uuid4().hex, f"{self._stream}:lease:{member.group}"
            await self._declare_group(member.group)
            member.joined()
            while not await self._eval(HOLD, [lease], name, self._take_over_ms):  # noqa: ASYNC110 - it is Redis that knows
                await asyncio.sleep(min(self._take_over_s / 20, 0.5))
            holding = asyncio.create_task(self._keep(lease, name))
            try:
                await self._receive_all(member, lease, name)
            finally:
                await end(holding)
                with suppress(RedisError, OSError):
                    await self._eval(RELEASE, [lease], name)

    async def _declare_group(self, group: str) -> None:
        try:
            await self._client.xgroup_create(self._stream, group, id="0", mkstream=True)
        except OutOfMemoryError:
            pass  # a group that is there needs no memory
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise

    async def _keep(self, lease: str, name: str) -> None:
        """Hold on to the lease. When that fails, it is noticed before the next facts are handed over."""
        while True:
            await asyncio.sleep(self._take_over_s / 3)
            with suppress(RedisError, OSError):
                await self._eval(HOLD, [lease], name, self._take_over_ms)

    async def _receive_all(self, member: Member, lease: str, name: str) -> None:
        """Hand entries over, first those that were delivered before, until the member closes or another is at work.

        The next entries are asked for while the receiver stores those before them, and handed over when these are
        acknowledged.
        """

        async def go_on(taken: Sequence[Entry]) -> bool:
            first = entries[0][0] if entries else b""
            done = (entry for entry, _ in taken)
            return bool(await self._eval(GO_ON, [self._stream, lease], member.group, name, first, *done))

        entries = await self._read(member.group, _DELIVERED)
        goes_on = await go_on(())
        while goes_on and not member.closing:
            taken, entries = entries, await self._take(member, entries)
            goes_on = await go_on(taken)

    async def _take(self, member: Member, entries: Sequence[Entry]) -> list[Entry]:
        """Hand entries over. Returns the next, if there are any yet; where there was none in hand, it waits a while."""
        if not entries:
            return await self._read(member.group, _NEW, block=True)
        following = asyncio.create_task(self._read_on(member.group, entries[-1][0]))
        try:
            await member.take(await self._facts(member.group, entries))
            return await following
        finally:
            await end(following)

    async def _read_on(self, group: str, entry: bytes) -> list[Entry]:
        """The entries after one that was read, those first that were delivered before."""
        return await self._read(group, entry) or await self._read(group, _NEW)

    async def _read(self, group: str, after: str | bytes, *, block: bool = False) -> list[Entry]:
        """Entries after a place, delivered and not acknowledged; or new ones, for which `block` waits a while."""
        block_ms = round(min(self._take_over_s / 3, _LONGEST_BLOCK_S) * 1000) if block else None
        answer: Any = await self._client.xreadgroup(
            group, _CONSUMER, {self._stream: after}, count=_BATCH, block=block_ms
        )
        return entries_in(answer)

    async def _facts(self, group: str, entries: Sequence[Entry]) -> list[EventEnvelope]:
        """The facts in entries; what is none goes to the stream of rejected messages first."""
        facts = list[EventEnvelope]()
        for _, fields in entries:
            if fields is None:  # somebody deleted the entry
                continue
            body = fields[b"fact"] if b"fact" in fields else repr(fields).encode()
            try:
                facts.append(decode(body))
            except NotAnEnvelopeError as error:
                log.warning("message_rejected", group=group, error=str(error))
                values: Any = {"group": group, "body": body}
                await self._client.xadd(self._rejected, values, maxlen=_REJECTED_KEPT, approximate=True)
        return facts

    @property
    def _take_over_ms(self) -> int:
        return round(self._take_over_s * 1000)


@asynccontextmanager
async def _translated() -> AsyncGenerator[None]:
    """Raise what the driver raises as errors of the port."""
    try:
        yield
    except EventStreamError:
        raise
    except (AuthenticationError, AuthorizationError, NoPermissionError) as error:
        raise EventStreamError(f"Redis refuses the user, the password or a command: {error}") from error
    except (RedisError, OSError, TimeoutError) as error:
        raise BrokerAwayError(f"Redis: {error or type(error).__name__}") from error
