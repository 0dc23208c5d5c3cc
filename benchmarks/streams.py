"""A thousand streams at 20 tokens/s through one process, and what 4,000 slow ones take of its memory.

Streams begin one after the other over some seconds, as people do; times count from each one's own beginning. The same
streams straight from the mock upstream say what the clients and the machine make of it.
"""

import argparse
import asyncio
import resource
import statistics
from collections.abc import Mapping, Sequence

from benchmarks.serving import CLIENT_CORE, Target, cpu_s, fireside, headers_of, memory_mb, mock_upstream, pin
from benchmarks.serving import with_server as serving
from benchmarks.wire import StreamClient, Watched, open_stream, request_bytes

STREAMS, WORDS, PAUSE_MS, RAMP_S = 1000, 200, 50.0, 10.0
SLOW_STREAMS, SLOW_PAUSE_MS = 4000, 20_000.0
_FILES = 20_000
_WITHIN_S = 120.0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=STREAMS)
    parser.add_argument("--slow", type=int, default=SLOW_STREAMS, help="how many slow ones")
    asked = parser.parse_args()
    _allow_many_connections()
    pin(CLIENT_CORE)
    if asked.streams:
        _measure_pace(asked.streams)
    if asked.slow:
        _measure_memory(asked.slow)


def _measure_pace(count: int) -> None:
    with mock_upstream(pause_ms=PAUSE_MS) as upstream, fireside(serving(upstream.url), pinned=True) as house:
        ours = Target(house.url, headers_of(house), house.pid)
        for name, target in {"direct": upstream, "fireside": ours}.items():
            before = cpu_s(target.pid)
            seen = asyncio.run(_all(target, count))
            _print_streams(name, seen, cpu_s(target.pid) - before)


def _measure_memory(count: int) -> None:
    with mock_upstream(pause_ms=SLOW_PAUSE_MS) as upstream, fireside(serving(upstream.url), pinned=True) as house:
        asyncio.run(_slow(Target(house.url, headers_of(house), house.pid), count))


async def _all(target: Target, count: int) -> Sequence[Watched]:
    request, opened = _request(target, WORDS), list[asyncio.Task[StreamClient]]()
    for _ in range(count):
        opened.append(asyncio.create_task(open_stream(target.url, request)))
        await asyncio.sleep(RAMP_S / count)
    streams = [await each for each in opened]
    await asyncio.wait([stream.finished for stream in streams], timeout=_WITHIN_S)
    return [stream.watched for stream in streams]


def _print_streams(name: str, seen: Sequence[Watched], took_cpu_s: float) -> None:
    complete = [one for one in seen if one.ended is not None and one.words == WORDS]
    print(f"{name}: {len(complete)} of {len(seen)} complete")
    if not complete:
        return
    ideal_s = WORDS * PAUSE_MS / 1000
    times = [one.total_s / ideal_s for one in complete]
    gaps = [gap for one in complete for gap in one.gaps_s]
    firsts = [one.first_s * 1000 for one in complete]
    print(f"  stream time, x ideal: median {statistics.median(times):.3f}, slowest {max(times):.3f} (goal <= 1.02)")
    print(f"  gap between tokens, p99: {_p99(gaps) * 1000 / PAUSE_MS:.2f} x ideal (goal <= 1.2)")
    print(f"  first token: median {statistics.median(firsts):.1f} ms, p99 {_p99(firsts):.0f} ms (goal <= 100 added)")
    print(f"  processor time of an event: {took_cpu_s / (len(seen) * WORDS) * 1e6:.0f} us (goal <= 45)")


async def _slow(target: Target, count: int) -> None:
    request = _request(target, 3)
    warm = [await open_stream(target.url, request) for _ in range(10)]
    await _first_words(warm)
    before = memory_mb(target.pid)
    streams = [await open_stream(target.url, request) for _ in range(count)]
    await _first_words(streams)
    kilobytes = (memory_mb(target.pid) - before) * 1000 / count
    begun = sum(stream.watched.words > 0 for stream in streams)
    print(f"{begun} of {count} slow streams open: {kilobytes:.1f} KB each (goal <= 30)")
    for stream in (*warm, *streams):
        stream.leave()


async def _first_words(streams: Sequence[StreamClient]) -> None:
    """Wait until every stream has its first word, or is over."""
    async with asyncio.timeout(_WITHIN_S):
        while not all(stream.watched.words or stream.finished.done() for stream in streams):  # noqa: ASYNC110
            await asyncio.sleep(0.1)


def _request(target: Target, words: int) -> bytes:
    asked = {"model": "scripted", "stream": True, "max_tokens": words, "messages": [{"role": "user", "content": "hi"}]}
    headers: Mapping[str, str] = target.headers
    return request_bytes(target.url, "/v1/chat/completions", headers, asked)


def _p99(values: Sequence[float]) -> float:
    return statistics.quantiles(values, n=100)[98]


def _allow_many_connections() -> None:
    """Each stream is a connection here and two in the server, which inherits the limit."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if most == resource.RLIM_INFINITY else min(_FILES, most)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


if __name__ == "__main__":
    main()
