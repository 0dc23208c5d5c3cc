"""A line to a server that can be interrupted: nothing passes, and nobody is told, as in a network that parts."""

import asyncio
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

from fireside.testing.cluster import free_port


class Line:
    """A proxy for TCP in a thread of its own.

    Attributes:
        host: Where it listens.
        port: There.
    """

    def __init__(self, server_port: int, host: str) -> None:
        self.host, self.port = host, free_port()
        self._server_port = server_port
        self._loop = asyncio.new_event_loop()
        self._passes = asyncio.Event()
        self._passes.set()
        self._ends = asyncio.Event()
        self._listens = threading.Event()
        self._pumps = set[asyncio.Task[None]]()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def to(self, url: str) -> str:
        """The URL of a server, with this line in its place."""
        host = urlsplit(url).netloc.rpartition("@")[2]
        return url.replace(host, f"{self.host}:{self.port}", 1)

    def start(self) -> None:
        """Begin, and return once it listens."""
        self._thread.start()
        assert self._listens.wait(10), "the line does not listen"

    def end(self) -> None:
        """Close every connection."""
        self._loop.call_soon_threadsafe(self._ends.set)
        self._thread.join(10)

    def interrupt(self) -> None:
        """From now on nothing passes. Connections stay, and new ones are taken and lead nowhere."""
        self._loop.call_soon_threadsafe(self._passes.clear)

    def mend(self) -> None:
        """Everything passes again, what was sent meanwhile first."""
        self._loop.call_soon_threadsafe(self._passes.set)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        async with await asyncio.start_server(self._accept, self.host, self.port):
            self._listens.set()
            await self._ends.wait()
            for pump in self._pumps:
                pump.cancel()
            await asyncio.gather(*self._pumps, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pump = asyncio.create_task(self._join(reader, writer))
        self._pumps.add(pump)
        pump.add_done_callback(self._pumps.discard)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on what comes from either side until both have ended."""
        with suppress(OSError):
            await self._passes.wait()
            there, onward = await asyncio.open_connection("127.0.0.1", self._server_port)
            try:
                await asyncio.gather(self._pass_on(reader, onward), self._pass_on(there, writer))
            finally:
                onward.close()
        writer.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                await self._passes.wait()
                writer.write(data)
                await writer.drain()
        writer.close()


@contextmanager
def line_to(port: int, host: str = "127.0.0.1") -> Generator[Line]:
    """A line from an address of this machine to a server on 127.0.0.1, inside the context."""
    line = Line(port, host)
    line.start()
    try:
        yield line
    finally:
        line.end()
