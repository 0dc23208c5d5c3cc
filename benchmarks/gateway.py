"""What the gateway adds before a mock upstream that answers at once: key check, limits, routing, bytes through."""

import asyncio
import statistics
import time

import aiohttp
import orjson

from benchmarks.paired import differences, measure, quality_of_run, timed
from benchmarks.serving import CLIENT_CORE, fireside, headers_of, pin, scripted_server, with_server
from fireside.testing.process import FiresideProcess

CLIENTS = 10
SECONDS = 5.0
BODY = orjson.dumps({"model": "scripted", "messages": [{"role": "user", "content": "hello"}]})


def main() -> None:
    """Measure and print."""
    with scripted_server() as upstream, fireside(with_server(upstream), pinned=True) as house:
        pin(CLIENT_CORE)
        asyncio.run(_measure(upstream, house))


async def _measure(upstream: str, house: FiresideProcess) -> None:
    async with aiohttp.ClientSession() as session:

        async def call(url: str) -> None:
            async with session.post(url + "/v1/chat/completions", data=BODY, headers=headers_of(house)) as reply:
                await reply.read()
                if reply.status != 200:
                    raise SystemExit(f"{url} answered {reply.status}")

        targets = {
            "direct": lambda: timed(call(upstream)),
            "fireside": lambda: timed(call(house.url)),
        }
        found = await measure(targets, rounds=300)
        print(quality_of_run(found["direct"]))
        print(f"direct: {statistics.median(found['direct']):.2f} ms")
        print(f"added by Fireside: {differences(found, direct='direct')['fireside']} ms (goal <= 1.0)")
        for name, url in {"direct": upstream, "fireside": house.url}.items():
            print(f"requests/s, {CLIENTS} clients, {name}: {await _rate(lambda url=url: call(url)):.0f}")


async def _rate(call: object) -> float:
    done, ends = 0, time.perf_counter() + SECONDS

    async def client() -> None:
        nonlocal done
        while time.perf_counter() < ends:
            await call()  # type: ignore[operator] - a function without arguments
            done += 1

    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    return done / SECONDS


if __name__ == "__main__":
    main()
