"""One connection to a Redis server on which commands are written without waiting for the answers to those before."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, cast

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import RedisError, ResponseError

from fireside.adapters.transporter.broker import BACKLOG_BYTES, PULSE_S, SILENCE_S
from fireside.core.tasks import end
from fireside.ports.transporter import TransporterError

FAILURES = (RedisError, OSError, asyncio.TimeoutError)
"""What the driver raises when something is wrong with the connection or the server."""


class RedisPipe:
    """Writes commands in order and hands on every answer, and whatever else the server sends."""

    def __init__(
        self, connection: AbstractConnection, *, on_reply: Callable[[Any], None], on_broken: Callable[[str], None]
    ) -> None:
        """Use a connection that is not open yet.

        Args:
            connection: It is closed with the pipe.
            on_reply: Takes what the server sends; an error of the server as a ResponseError.
            on_broken: Called once when the connection is lost.
        """
        self._connection = connection
        self._on_reply, self._on_broken = on_reply, on_broken
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._filled, self._emptied = asyncio.Event(), asyncio.Event()
        self._last_heard = 0.0
        self._tasks: list[asyncio.Task[None]] = []
        self._is_broken = False

    async def open(self) -> None:
        """Connect. Raises what is in FAILURES."""
        await self._connection.connect()
        self._last_heard = asyncio.get_running_loop().time()
        self._tasks = [asyncio.create_task(work()) for work in (self._write, self._read, self._keep_asking)]

    def send(self, *parts: str | bytes) -> None:
        """Have a command written; one answer will come."""
        for piece in self._connection.pack_command(*parts):
            self._waiting.append(piece)
            self._waiting_bytes += len(piece)
        self._filled.set()

    async def wait_for_room(self) -> None:
        """Wait until not too much waits to be written.

        Raises:
            TransporterError: The connection is lost.
        """
        while self._waiting_bytes > BACKLOG_BYTES and not self._is_broken:
            self._emptied.clear()
            await self._emptied.wait()
        if self._is_broken:
            raise TransporterError("the connection to Redis was lost")

    async def close(self) -> None:
        """Let go of the connection."""
        self._is_broken = True
        self._emptied.set()
        await end(*self._tasks)
        await self._connection.disconnect(nowait=True)

    async def _write(self) -> None:
        while True:
            await self._filled.wait()
            self._filled.clear()
            pieces = tuple(self._waiting)
            self._waiting.clear()
            self._waiting_bytes = 0
            self._emptied.set()
            try:
                await self._connection.send_packed_command(pieces, check_health=False)
            except FAILURES as error:
                self._break(error)
                return

    async def _read(self) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            try:
                reply = cast("Any", await self._connection.read_response(disable_decoding=True))
            except ResponseError as error:
                reply = error
            except FAILURES as error:
                self._break(error)
                return
            self._last_heard = clock()
            self._on_reply(reply)

    async def _keep_asking(self) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            await asyncio.sleep(PULSE_S)
            if clock() - self._last_heard > SILENCE_S:
                self._break(TimeoutError("the server no longer answers"))
                return
            self.send("PING")

    def _break(self, error: BaseException) -> None:
        if not self._is_broken:
            self._is_broken = True
            self._emptied.set()
            self._on_broken(str(error) or type(error).__name__)
