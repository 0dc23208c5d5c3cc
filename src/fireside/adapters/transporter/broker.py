"""What the transporters of real brokers have in common: one line to the broker, drawn again for ever when it breaks.

A driver's own reconnecting is not used: each does it differently, and none tells when the subscriptions stand again.
"""

import asyncio
from collections.abc import Awaitable, Callable
from random import Random
from typing import Protocol

import structlog

from fireside.adapters.transporter.topics import Topic
from fireside.core.tasks import end
from fireside.ports.transporter import Receiver, TransporterError

log = structlog.stdlib.get_logger(__name__)

CONNECT_TIMEOUT_S = 5.0
FLUSH_TIMEOUT_S = 5.0
PULSE_S = 5.0
"""Time between two questions whether a silent broker is still there."""
SILENCE_S = 15.0
"""A broker that was silent for so long, though asked, is taken for lost."""
BACKLOG_BYTES = 8 * 1024 * 1024
"""What may wait to be written before those who publish wait too."""
RECONNECT_FIRST_S, RECONNECT_LONGEST_S = 0.05, 5.0


class Line(Protocol):
    """One connection to a broker, of use until it breaks. Its methods raise TransporterError."""

    @property
    def broken(self) -> "asyncio.Future[str]":
        """Says why, as soon as the line is of no more use."""
        ...

    async def open(self) -> None:
        """Connect."""
        ...

    async def subscribe(self, topic: Topic) -> None:
        """Receive what is sent to a topic; returns when the broker has agreed."""
        ...

    async def publish(self, topic: Topic, packet: bytes) -> None:
        """Send a packet; waits while too much waits to be sent."""
        ...

    async def flush(self) -> None:
        """Wait until the broker has all that was published."""
        ...

    async def close(self) -> None:
        """Let go of the connection, whatever its state. Safe to call twice."""
        ...


MakeLine = Callable[[Receiver], Line]
"""Makes a line that is not open yet and hands over what comes in the order of its arrival."""


class BrokerTransporter:
    """A `Transporter` over lines of one technology."""

    def __init__(self, make_line: MakeLine, *, shown_url: str) -> None:
        """Prepare; nothing is connected before `connect`.

        Args:
            make_line: Makes a line to the broker.
            shown_url: Of the broker, without password.
        """
        self._make_line, self._shown_url = make_line, shown_url
        self._line: Line | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._topics: dict[Topic, None] = {}
        self._jitter = Random()  # noqa: S311 - spreads attempts, keeps no secret

    async def connect(self, receive: Receiver, *, on_reconnect: Callable[[], None]) -> None:
        """Connect, and from then on connect again whenever the connection is lost."""
        await self.disconnect()
        line = self._line = await self._draw(receive)
        self._keeper = asyncio.create_task(self._keep(line, receive, on_reconnect))

    async def subscribe(self, command: str, *, node_id: str | None = None) -> None:
        """Receive packets of a command from now on."""
        topic = Topic(command, node_id)
        if topic in self._topics and self._line is not None:
            return
        await self._require_line().subscribe(topic)
        self._topics[topic] = None

    def publish(self, command: str, packet: bytes, *, node_id: str | None = None) -> Awaitable[None]:
        """Send a packet to one node, or to all."""
        return self._require_line().publish(Topic(command, node_id), packet)

    async def disconnect(self) -> None:
        """Send what waits to be sent, then let go of the connection."""
        line, keeper = self._line, self._keeper
        self._line = self._keeper = None
        self._topics.clear()
        if line is not None:
            await self._flush(line)
        await end(keeper)
        self._line = None

    async def _flush(self, line: Line) -> None:
        try:
            async with asyncio.timeout(FLUSH_TIMEOUT_S):
                await line.flush()
        except (TransporterError, TimeoutError) as error:
            log.warning("broker_not_flushed", broker=self._shown_url, detail=str(error))

    def _require_line(self) -> Line:
        if self._line is not None:
            return self._line
        if self._keeper is None:
            raise TransporterError("not connected: call connect first")
        raise TransporterError(f"the connection to {self._shown_url} is lost and not back yet")

    async def _keep(self, line: Line, receive: Receiver, on_reconnect: Callable[[], None]) -> None:
        while True:
            try:
                await asyncio.wait([line.broken])
                log.warning("broker_lost", broker=self._shown_url, detail=line.broken.result())
            finally:
                self._line = None
                await _close(line)
            line = await self._draw_again(receive)
            self._line = line
            log.info("broker_back", broker=self._shown_url)
            on_reconnect()

    async def _draw_again(self, receive: Receiver) -> Line:
        delay_s = RECONNECT_FIRST_S
        while True:
            await asyncio.sleep(delay_s * self._jitter.uniform(0.5, 1.0))
            delay_s = min(delay_s * 2, RECONNECT_LONGEST_S)
            try:
                return await self._draw_with_topics(receive)
            except TransporterError as error:
                log.debug("broker_away", broker=self._shown_url, detail=error.message)

    async def _draw_with_topics(self, receive: Receiver) -> Line:
        line = await self._draw(receive)
        try:
            async with asyncio.timeout(SILENCE_S):
                for topic in tuple(self._topics):
                    await line.subscribe(topic)
        except TimeoutError as error:
            await _close(line)
            raise TransporterError(f"{self._shown_url} does not answer") from error
        except BaseException:
            await _close(line)
            raise
        return line

    async def _draw(self, receive: Receiver) -> Line:
        line = self._make_line(receive)
        try:
            async with asyncio.timeout(2 * CONNECT_TIMEOUT_S):
                await line.open()
        except TimeoutError as error:
            await _close(line)
            raise TransporterError(f"cannot connect to {self._shown_url}: no answer") from error
        except BaseException:
            await _close(line)
            raise
        return line


async def _close(line: Line) -> None:
    """Close a line to the end, even where this task is cancelled meanwhile."""
    closing = asyncio.create_task(line.close())
    try:
        await asyncio.shield(closing)
    except asyncio.CancelledError:
        await closing
        raise
