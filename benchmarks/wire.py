"""Clients that cost next to nothing: one connection each, requests written as they are, replies watched unread."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import orjson

DONE = b"[DONE]"


@dataclass(slots=True)
class Watched:
    """A stream as it came: when it was asked for, when bytes came, how many words; times in seconds."""

    began: float = 0.0
    times: list[float] = field(default_factory=lambda: list[float]())
    words: int = 0
    ended: float | None = None
    status: bytes = b""

    @property
    def first_s(self) -> float:
        """From the request to the first word."""
        return self.times[0] - self.began

    @property
    def total_s(self) -> float:
        """From the request to the end."""
        return (self.ended or time.perf_counter()) - self.began

    @property
    def gaps_s(self) -> list[float]:
        """Between two arrivals of words."""
        return [later - earlier for earlier, later in zip(self.times, self.times[1:], strict=False)]


def request_bytes(url: str, path: str, headers: Mapping[str, str], body: Any) -> bytes:
    """A POST as it stands on the wire."""
    data = body if isinstance(body, bytes) else orjson.dumps(body)
    lines = [f"POST {path} HTTP/1.1", f"host: {urlsplit(url).netloc}", f"content-length: {len(data)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + data


class StreamClient(asyncio.Protocol):
    """Asks for one stream and watches it until its end."""

    def __init__(self, request: bytes, mark: bytes, done: bytes) -> None:
        """Prepare.

        Args:
            request: As it stands on the wire.
            mark: What every word's event holds, once.
            done: What only the last event holds.
        """
        self._request, self._mark, self._done = request, mark, done
        self.watched = Watched()
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._transport: Any = None
        self._tail = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask."""
        self._transport = transport
        self.watched.began = time.perf_counter()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Watch."""
        watched = self.watched
        watched.status = watched.status or data[9:12]
        words = data.count(self._mark)
        if words:
            watched.words += words
            watched.times.append(time.perf_counter())
        if self._done in self._tail + data:
            watched.ended = time.perf_counter()
            self._transport.close()
        self._tail = data[-len(self._done) :]

    def connection_lost(self, exc: Exception | None) -> None:
        """It is over, complete or not."""
        del exc
        if not self.finished.done():
            self.finished.set_result(None)

    def leave(self) -> None:
        """Hang up."""
        self._transport.abort()


async def open_stream(url: str, request: bytes, *, mark: bytes = b'" word"', done: bytes = DONE) -> StreamClient:
    """Connect and ask."""
    where = urlsplit(url)
    loop = asyncio.get_running_loop()
    _, client = await loop.create_connection(
        lambda: StreamClient(request, mark, done), where.hostname or "127.0.0.1", where.port
    )
    return client


class RateClient(asyncio.Protocol):
    """Asks again as soon as it has its answer, which must come with its length."""

    def __init__(self, request: bytes, latencies_s: list[float]) -> None:
        self._request, self._latencies_s = request, latencies_s
        self._transport: Any = None
        self._began = 0.0
        self._received = bytearray()
        self.failed = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask."""
        self._transport = transport
        self._ask()

    def data_received(self, data: bytes) -> None:
        """Ask again once the answer is whole."""
        self._received += data
        head, end, body = bytes(self._received).partition(b"\r\n\r\n")
        if not end:
            return
        _, _, length = head.lower().partition(b"content-length:")
        if len(body) < int(length.split(b"\r\n")[0]):
            return
        if head[9:12] != b"200":
            self.failed = bytes(self._received)
            self._transport.close()
            return
        self._latencies_s.append(time.perf_counter() - self._began)
        self._ask()

    def stop(self) -> None:
        """Hang up."""
        self._transport.abort()

    def _ask(self) -> None:
        self._received.clear()
        self._began = time.perf_counter()
        self._transport.write(self._request)


async def hammer(url: str, request: bytes, *, clients: int, seconds: float) -> Sequence[float]:
    """Ask with so many clients for so long; how long each answer took, in seconds.

    Raises:
        SystemExit: One was refused.
    """
    where, loop, latencies_s = urlsplit(url), asyncio.get_running_loop(), list[float]()
    made = [
        await loop.create_connection(lambda: RateClient(request, latencies_s), where.hostname or "", where.port)
        for _ in range(clients)
    ]
    await asyncio.sleep(seconds)
    for _, client in made:
        client.stop()
    if failed := next((client.failed for _, client in made if client.failed), None):
        raise SystemExit(f"{url} refused: {failed!r}")
    return latencies_s
