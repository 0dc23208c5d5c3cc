"""How soon a model's server is told that nobody reads its stream any more: its client hung up before the gateway."""

import asyncio
import statistics
import time

from benchmarks.mock_upstream import MockUpstream
from benchmarks.serving import Target, fireside, free_port, headers_of, with_server
from benchmarks.wire import open_stream, request_bytes

ROUNDS = 40
PAUSE_S = 0.05
_WITHIN_S = 30.0
PATHS = ("/v1/chat/completions", "/v1/messages", "/api/chat")


class _Left(MockUpstream):
    """Notes when its connection was closed."""

    def __init__(self, closed: asyncio.Queue[float]) -> None:
        super().__init__(PAUSE_S)
        self._closed = closed

    def connection_lost(self, exc: Exception | None) -> None:
        """Note the moment."""
        super().connection_lost(exc)
        self._closed.put_nowait(time.perf_counter())


def main() -> None:
    """Measure and print."""
    port = free_port()
    with fireside(with_server(f"http://127.0.0.1:{port}")) as house:
        asyncio.run(_run(port, Target(house.url, headers_of(house), house.pid)))


async def _run(port: int, target: Target) -> None:
    closed = asyncio.Queue[float]()
    server = await asyncio.get_running_loop().create_server(lambda: _Left(closed), "127.0.0.1", port)
    async with server:
        for path in PATHS:
            took_ms = sorted([await _leave(target, path, closed) for _ in range(ROUNDS)])
            print(f"{path}: {statistics.median(took_ms):.1f} ms, slowest {took_ms[-1]:.0f} ms (goal <= 200)")


async def _leave(target: Target, path: str, closed: asyncio.Queue[float]) -> float:
    """From the client's end of the connection to that of the model's server, in milliseconds."""
    body = {"model": "scripted", "stream": True, "max_tokens": 10_000, "messages": [{"role": "user", "content": "hi"}]}
    stream = await open_stream(target.url, request_bytes(target.url, path, target.headers, body), mark=b"word")
    async with asyncio.timeout(_WITHIN_S):
        while not stream.watched.words:  # noqa: ASYNC110 - whoever receives tells nobody
            await asyncio.sleep(0.005)
        left_at = time.perf_counter()
        stream.leave()
        return (await closed.get() - left_at) * 1000


if __name__ == "__main__":
    main()
