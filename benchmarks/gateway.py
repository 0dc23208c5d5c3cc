"""What the gateway adds before a mock upstream: key check, limits, routing, bytes through. Beside LiteLLM's proxy.

Every target is asked in short rounds in shuffled order. Processor time is the server's own, of user and kernel, less
what it takes when nobody asks: on a busy machine it says more than the time on the clock.
"""

import asyncio
import random
import statistics
from collections.abc import Mapping
from typing import Any

import aiohttp
import orjson

from benchmarks.litellm_proxy import litellm_proxy
from benchmarks.paired import SEED, differences, interval, measure, quality_of_run, timed
from benchmarks.serving import CLIENT_CORE, Target, cpu_s, fireside, headers_of, mock_upstream, pin, with_server
from benchmarks.wire import hammer, open_stream, request_bytes

CLIENTS = 10
ROUNDS = 5
SECONDS = 2.0
STREAMS, WORDS, PAUSE_MS = 20, 50, 50.0
PATH = "/v1/chat/completions"
ASKED: dict[str, Any] = {"model": "scripted", "messages": [{"role": "user", "content": "hello"}]}
DIRECT = "direct"


def main() -> None:
    """Measure and print."""
    pin(CLIENT_CORE)
    for pause_ms, what in ((0.0, _requests), (PAUSE_MS, _events)):
        with (
            mock_upstream(pause_ms=pause_ms) as upstream,
            litellm_proxy(upstream.url) as peers,
            fireside(with_server(upstream.url), pinned=True) as house,
        ):
            ours = Target(house.url, headers_of(house), house.pid)
            asyncio.run(what({DIRECT: upstream, "fireside": ours, **peers}))


async def _requests(targets: Mapping[str, Target]) -> None:
    async with aiohttp.ClientSession() as session:

        async def call(target: Target) -> None:
            async with session.post(target.url + PATH, data=orjson.dumps(ASKED), headers=target.headers) as reply:
                await reply.read()
                if reply.status != 200:
                    raise SystemExit(f"{target.url} answered {reply.status}")

        asks = {name: (lambda target=target: timed(call(target))) for name, target in targets.items()}
        found = await measure(asks, rounds=150, warm_up=20)
    print(quality_of_run(found[DIRECT]))
    print(f"{DIRECT}: {statistics.median(found[DIRECT]):.2f} ms")
    for name, added in differences(found, direct=DIRECT).items():
        print(f"added by {name}: {added} ms (goal <= 1.0, and <= 0.10 x LiteLLM)")
    idle = {name: await _idle_share(target) for name, target in targets.items()}
    rates: dict[str, list[float]] = {name: [] for name in targets}
    costs: dict[str, list[float]] = {name: [] for name in targets}
    for name in _turns(targets):
        target, before = targets[name], cpu_s(targets[name].pid)
        done = await hammer(
            target.url, request_bytes(target.url, PATH, target.headers, ASKED), clients=CLIENTS, seconds=SECONDS
        )
        rates[name].append(len(done) / SECONDS)
        costs[name].append((cpu_s(target.pid) - before - idle[name] * SECONDS) / len(done) * 1e6)
    for name in targets:
        rate, cost = statistics.median(rates[name]), statistics.median(costs[name])
        print(f"{name}: {rate:.0f} requests/s with {CLIENTS} clients, {cost:.0f} us of processor time each")
    _print_ratio("requests/s", rates, "(goal >= 25)")
    _print_ratio("processor time of a request", costs)


async def _events(targets: Mapping[str, Target]) -> None:
    asked = {**ASKED, "stream": True, "max_tokens": WORDS}
    idle = {name: await _idle_share(target) for name, target in targets.items()}
    costs: dict[str, list[float]] = {name: [] for name in targets}
    for name in _turns(targets):
        target, before = targets[name], cpu_s(targets[name].pid)
        request = request_bytes(target.url, PATH, target.headers, asked)
        (events, seconds) = await _stream_all(target, request)
        costs[name].append((cpu_s(target.pid) - before - idle[name] * seconds) / events * 1e6)
    for name in targets:
        cost = statistics.median(costs[name])
        print(f"{name}: {cost:.0f} us of processor time for a streamed event, its share of the request included")
    _print_ratio("processor time of an event", costs)


async def _stream_all(target: Target, request: bytes) -> tuple[int, float]:
    """Some streams at once; how many events came by themselves, and how long it took in seconds."""
    began = asyncio.get_running_loop().time()
    streams = [await open_stream(target.url, request) for _ in range(STREAMS)]
    await asyncio.gather(*(stream.finished for stream in streams))
    if not all(stream.watched.ended and stream.watched.words == WORDS for stream in streams):
        raise SystemExit(f"{target.url} did not finish its streams")
    return sum(len(stream.watched.times) for stream in streams), asyncio.get_running_loop().time() - began


def _turns(targets: Mapping[str, Target]) -> list[str]:
    chance = random.Random(SEED)
    return [name for _ in range(ROUNDS) for name in chance.sample(list(targets), len(targets))]


async def _idle_share(target: Target) -> float:
    """Processor time that a server takes each second when nobody asks."""
    before = cpu_s(target.pid)
    await asyncio.sleep(SECONDS)
    return (cpu_s(target.pid) - before) / SECONDS


def _print_ratio(what: str, found: Mapping[str, list[float]], goal: str = "") -> None:
    if "litellm" in found:
        pairs = [ours / theirs for ours, theirs in zip(found["fireside"], found["litellm"], strict=True)]
        print(f"{what}, ratio to LiteLLM: {interval(pairs)} {goal}")


if __name__ == "__main__":
    main()
