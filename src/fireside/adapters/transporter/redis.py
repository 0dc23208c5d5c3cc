"""Packets over Redis Pub/Sub, on the channels of Moleculer's own Redis transporter.

In a Redis Cluster every node carries what is published on any other, so one connection to one of them will do.
"""

import asyncio
import re
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import structlog
from redis.exceptions import RedisError, ResponseError

from fireside.adapters.transporter.broker import BrokerTransporter, Line
from fireside.adapters.transporter.redis_pipe import FAILURES, RedisPipe
from fireside.adapters.transporter.redis_places import RedisPlaces, connection_to
from fireside.adapters.transporter.topics import Topic, Topics
from fireside.ports.transporter import Receiver, Transporter, TransporterError

log = structlog.stdlib.get_logger(__name__)

_SPACES = re.compile(r"\s")


def redis_transporter(url: str, *, node_id: str, namespace: str = "") -> Transporter:
    """A transporter over a Redis server, a master with Sentinels, or a Redis Cluster.

    Args:
        url: `redis://` or `rediss://[user:password@]host[:port]`; `redis+sentinel://host[:port],.../service`;
            `redis+cluster://host[:port],...`.
        node_id: Names the connections on the server.
        namespace: Separates clusters that share a server.
    """
    topics, places = Topics(namespace), RedisPlaces.read(url)
    client_name = _SPACES.sub("-", f"fireside-{node_id}")

    def make_line(receive: Receiver) -> Line:
        return RedisLine(topics, receive, places=places, client_name=client_name)

    return BrokerTransporter(make_line, shown_url=places.shown)


class RedisLine:
    """A `Line` to a Redis server: two connections, for Redis lets none that has subscribed publish."""

    def __init__(self, topics: Topics, receive: Receiver, *, places: RedisPlaces, client_name: str) -> None:
        self._topics, self._receive = topics, receive
        self._places, self._shown_url, self._client_name = places, places.shown, client_name
        loop = asyncio.get_running_loop()
        self._broken: asyncio.Future[str] = loop.create_future()
        self._publishing: RedisPipe | None = None
        self._listening: RedisPipe | None = None
        self._sent = self._answered = 0
        self._flushes: list[tuple[int, asyncio.Future[None]]] = []
        self._agreements: dict[bytes, asyncio.Future[None]] = {}

    @property
    def broken(self) -> asyncio.Future[str]:
        """Says why, as soon as the line is of no more use."""
        return self._broken

    async def open(self) -> None:
        """Connect to the first server that answers.

        Raises:
            TransporterError: None does, or none lets us in.
        """
        failure: BaseException | None = None
        try:
            for url in await self._places.urls():
                try:
                    await self._open_both(url)
                except FAILURES as error:
                    failure = error
                    await self.close()
                else:
                    return
        except FAILURES as error:  # of the Sentinels
            failure = error
        raise TransporterError(f"cannot connect to {self._shown_url}: {failure}") from failure

    async def _open_both(self, url: str) -> None:
        publishing, listening = (connection_to(url, client_name=self._client_name) for _ in range(2))
        self._publishing = RedisPipe(publishing, on_reply=self._take_answer, on_broken=self._break)
        self._listening = RedisPipe(listening, on_reply=self._take, on_broken=self._break)
        await self._publishing.open()
        await self._listening.open()

    async def subscribe(self, topic: Topic) -> None:
        """Subscribe and wait until the server has agreed."""
        pipe, name = self._usable(self._listening), self._topics.name(topic)
        agreed = self._agreements[name.encode()] = asyncio.get_running_loop().create_future()
        pipe.send("SUBSCRIBE", name)
        with self._lost_in_waiting():
            await agreed

    async def publish(self, topic: Topic, packet: bytes) -> None:
        """Send a packet; a task writes what waits."""
        pipe = self._usable(self._publishing)
        await pipe.wait_for_room()
        self._sent += 1
        pipe.send("PUBLISH", self._topics.name(topic), packet)

    async def flush(self) -> None:
        """Wait until all that was published has been answered."""
        self._usable(self._publishing)
        if self._answered < self._sent:
            flushed = asyncio.get_running_loop().create_future()
            self._flushes.append((self._sent, flushed))
            with self._lost_in_waiting():
                await flushed

    async def close(self) -> None:
        """Close both connections."""
        for pipe in (self._publishing, self._listening):
            if pipe is not None:
                await pipe.close()

    def _usable(self, pipe: RedisPipe | None) -> RedisPipe:
        if pipe is None or self._broken.done():
            raise TransporterError(f"the connection to {self._shown_url} was lost")
        return pipe

    def _take(self, reply: Any) -> None:
        """What comes on the connection that listens: a kind first, as Redis has it (RESP2)."""
        if isinstance(reply, ResponseError):
            refused = self._agreements.pop(next(iter(self._agreements), b""), None)
            if refused is not None and not refused.done():
                refused.set_exception(reply)
            return
        kind, name = bytes(reply[0]), bytes(reply[1])
        if kind == b"message":
            self._receive(self._topics.command(name.decode()), bytes(reply[2]))
        elif kind == b"subscribe":
            agreed = self._agreements.pop(name, None)
            if agreed is not None and not agreed.done():
                agreed.set_result(None)

    def _take_answer(self, reply: Any) -> None:
        """The answer to a command on the other connection: a number to PUBLISH, a text to PING."""
        if isinstance(reply, bytes):
            return
        if isinstance(reply, ResponseError):
            log.error("redis_refuses_to_publish", broker=self._shown_url, detail=str(reply))
        self._answered += 1
        while self._flushes and self._flushes[0][0] <= self._answered:
            _, flushed = self._flushes.pop(0)
            if not flushed.done():
                flushed.set_result(None)

    def _break(self, reason: str) -> None:
        if self._broken.done():
            return
        self._broken.set_result(reason)
        for waiting in [*self._agreements.values(), *(flushed for _, flushed in self._flushes)]:
            if not waiting.done():
                waiting.set_exception(ConnectionError(reason))

    @contextmanager
    def _lost_in_waiting(self) -> Generator[None]:
        try:
            yield
        except (RedisError, ConnectionError) as error:
            raise TransporterError(f"{self._shown_url}: {error}") from error
