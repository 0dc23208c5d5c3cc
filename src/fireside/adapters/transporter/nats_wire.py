"""One connection to a NATS server, as much of its client protocol as packets need: no headers, queues or replies.

The protocol: https://docs.nats.io/reference/reference-protocols/nats-protocol. What comes is handed over in the
callback of the event loop that read it, and what goes is written at the end of the same turn of the loop; a client
with queues and tasks between takes several turns for each packet.
"""

import asyncio
import json
import ssl
from collections import deque
from collections.abc import Callable
from typing import Any, cast
from urllib.parse import unquote, urlsplit

from fireside.adapters.transporter.broker import BACKLOG_BYTES, PULSE_S
from fireside.ports.transporter import TransporterError

DEFAULT_PORT = 4222
WRITE_PACKETS = 8
"""What is sent in one turn of the loop is written at its end, or when it has become so many packets, or half as many as
came in last: the server and the other node then work on the first of them while this one makes the rest."""
WRITE_BYTES = 64 * 1024
"""A packet of more than so much is written at once."""
PULSES_UNANSWERED = 2
"""So many questions without an answer, and the server is taken for lost."""

OnMessage = Callable[[bytes, bytes], None]
"""Takes a subject and what was sent to it."""


class NatsWire(asyncio.Protocol):
    """Speaks to one server, once.

    Attributes:
        broken: Says why, as soon as the connection is of no more use.
        max_payload: Bytes that the server takes in one message.
        has_room: Whether not too much waits to be written.
    """

    def __init__(self, url: str, *, name: str, on_message: OnMessage) -> None:
        """Prepare to connect.

        Args:
            url: `nats://[user:password@ or token@]host[:port]`; `tls://` insists on encryption.
            name: Of the connection, on the server.
            on_message: Must return at once.
        """
        self._address, self._name, self._on_message = urlsplit(url), name, on_message
        self._loop = asyncio.get_running_loop()
        self.broken: asyncio.Future[str] = self._loop.create_future()
        self.max_payload = 0
        self._greeted: asyncio.Future[None] = self._loop.create_future()
        self._answers: deque[asyncio.Future[None]] = deque()
        self._room = asyncio.Event()
        self.has_room = True
        self._unwritten: list[bytes] = []
        self._write_packets = WRITE_PACKETS
        self._write_comes = False
        self._chunks: list[bytes] = []
        self._held_bytes = self._needed_bytes = 0
        self._last_error = ""
        self._requires_tls = self._address.scheme == "tls"
        self._transport: asyncio.Transport | None = None
        self._pulse: asyncio.TimerHandle | None = None

    async def open(self) -> None:
        """Connect and sign in.

        Raises:
            OSError: The server cannot be reached, or not in the way it wants.
            TransporterError: It does not let us in.
        """
        host, port = self._address.hostname or "127.0.0.1", self._address.port or DEFAULT_PORT
        await self._loop.create_connection(lambda: self, host, port)
        await self._greeted
        if self._requires_tls and self._transport is not None:
            context = ssl.create_default_context()
            self._begin(await self._loop.start_tls(self._transport, self, context, server_hostname=host))
        self._write(b"CONNECT %b\r\n" % json.dumps(self._credentials()).encode())
        await self.round_trip()
        self._pulse = self._loop.call_later(PULSE_S, self._ask)

    def subscribe(self, subject: bytes, number: int) -> None:
        """Have what is sent to a subject come in."""
        self._write(b"SUB %b %d\r\n" % (subject, number))

    def publish(self, subject: bytes, payload: bytes) -> None:
        """Send; what the socket does not take at once waits in memory, see `wait_for_room`."""
        self._write(b"PUB %b %d\r\n%b\r\n" % (subject, len(payload), payload))

    async def round_trip(self) -> None:
        """Wait until the server has dealt with all that was written.

        Raises:
            TransporterError: The connection broke meanwhile.
        """
        answer: asyncio.Future[None] = self._loop.create_future()
        self._answers.append(answer)
        self._write(b"PING\r\n")
        await answer

    async def wait_for_room(self) -> None:
        """Wait until the server has taken enough of what waits."""
        await self._room.wait()

    def close(self) -> None:
        """Write what waits if that can be done at once, and hang up."""
        self._write_all()
        self._break("closed")
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Hang up now."""
        self._break("closed")
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asyncio's: the server is connected."""
        self._begin(cast("asyncio.Transport", transport))

    def connection_lost(self, exc: Exception | None) -> None:
        """Asyncio's: nothing more will come."""
        self._break(self._last_error or str(exc or "") or "the server hung up")

    def pause_writing(self) -> None:
        """Asyncio's: too much waits to be written."""
        self.has_room = False
        self._room.clear()

    def resume_writing(self) -> None:
        """Asyncio's: there is room again."""
        self.has_room = True
        self._room.set()

    def data_received(self, data: bytes) -> None:
        """Asyncio's: take what came, up to the last whole message.

        The write is sent for here, behind the tasks that the messages have woken, so that it takes what they send in
        this very turn of the loop.
        """
        self._chunks.append(data)
        self._held_bytes += len(data)
        if self._held_bytes < self._needed_bytes:
            return
        held = data if len(self._chunks) == 1 else b"".join(self._chunks)
        taken = self._take_messages(held)
        self._write_later()
        rest = held[taken:]
        self._chunks, self._held_bytes = ([rest] if rest else []), len(rest)

    def _take_messages(self, held: bytes) -> int:
        """Hand over all that is whole; how many bytes that was."""
        position, messages, self._needed_bytes = 0, 0, 0
        while (line_end := held.find(b"\n", position)) >= 0:
            line, following = held[position:line_end], line_end + 1
            if line.startswith(b"MSG "):
                words = line.split()
                ends = following + int(words[-1])
                if ends + 2 > len(held):
                    self._needed_bytes = ends + 2 - position
                    break
                messages += 1
                self._on_message(words[1], held[following:ends])
                following = ends + 2
            else:
                self._obey(line.rstrip(b"\r"))
            position = following
        self._write_packets = max(WRITE_PACKETS, messages // 2)
        return position

    def _obey(self, line: bytes) -> None:
        verb, _, rest = line.partition(b" ")
        if verb == b"PING":
            self._write(b"PONG\r\n")
        elif verb == b"PONG" and self._answers:
            answer = self._answers.popleft()
            if not answer.done():
                answer.set_result(None)
        elif verb == b"INFO":
            self._learn(json.loads(rest))
        elif verb == b"-ERR":
            self._last_error = rest.decode().strip("' ")

    def _learn(self, info: dict[str, Any]) -> None:
        self.max_payload = info.get("max_payload", self.max_payload)
        self._requires_tls = self._requires_tls or bool(info.get("tls_required"))
        if not self._greeted.done():
            self._greeted.set_result(None)

    def _credentials(self) -> dict[str, Any]:
        user, password = self._address.username, self._address.password
        options: dict[str, Any] = {
            "verbose": False,
            "pedantic": False,
            "protocol": 1,
            "lang": "python",
            "name": self._name,
            "tls_required": self._requires_tls,
        }
        if user and password is None:
            return {**options, "auth_token": unquote(user)}
        return {**options, "user": unquote(user), "pass": unquote(password or "")} if user else options

    def _begin(self, transport: asyncio.Transport | None) -> None:
        self._transport = transport
        if transport is not None:
            transport.set_write_buffer_limits(high=BACKLOG_BYTES)

    def _write(self, data: bytes) -> None:
        if self._transport is None or self.broken.done():
            raise TransporterError(self.broken.result() if self.broken.done() else "not connected")
        self._unwritten.append(data)
        if len(self._unwritten) >= self._write_packets or len(data) > WRITE_BYTES:
            self._write_all()
        else:
            self._write_later()

    def _write_later(self) -> None:
        if not self._write_comes:
            self._write_comes = True
            self._loop.call_soon(self._write_rest)

    def _write_rest(self) -> None:
        self._write_comes = False
        self._write_all()

    def _write_all(self) -> None:
        """Write in one go what waits."""
        data, self._unwritten = b"".join(self._unwritten), []
        if self._transport is not None and data:
            self._transport.write(data)

    def _ask(self) -> None:
        """Ask the server whether it is there; give it up when it did not answer before."""
        if len(self._answers) >= PULSES_UNANSWERED:
            self._break("the server does not answer")
            return
        self._answers.append(self._loop.create_future())
        self._write(b"PING\r\n")
        self._pulse = self._loop.call_later(PULSE_S, self._ask)

    def _break(self, reason: str) -> None:
        """Wake all that wait for something from the server."""
        if self.broken.done():
            return
        self.broken.set_result(reason)
        self.resume_writing()
        if self._pulse is not None:
            self._pulse.cancel()
        for waiting in (self._greeted, *self._answers):
            if not waiting.done():
                waiting.set_exception(TransporterError(reason))
                waiting.exception()  # whoever waits for it sees it; nobody needs to
        self._answers.clear()
