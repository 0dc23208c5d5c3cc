"""Many concurrent streams through the gateway: all must complete, near the pace of the upstream."""

import asyncio
import statistics

import aiohttp

from benchmarks.chatting import Seen, ask, complete
from benchmarks.serving import CLIENT_CORE, fireside, headers_of, pin, scripted_server, with_server
from fireside.testing.process import FiresideProcess

STREAMS = 200
WORDS = 60
PAUSE_MS = 50.0


def main() -> None:
    """Measure and print."""
    with scripted_server(pause_ms=PAUSE_MS) as upstream, fireside(with_server(upstream), pinned=True) as house:
        pin(CLIENT_CORE)
        direct = asyncio.run(_all(upstream, house))
        through = asyncio.run(_all(house.url, house))
    ideal_ms = WORDS * PAUSE_MS
    for name, seen in {"direct": direct, "fireside": through}.items():
        complete_ones = sum(one.tokens == WORDS for one in seen)
        longest = max(one.total_ms for one in seen)
        first = statistics.quantiles([one.first_token_ms for one in seen], n=100)[98]
        print(f"{name}: {complete_ones} of {STREAMS} complete, slowest {longest / ideal_ms:.2f} x ideal", end="")
        print(f", first token p99 {first:.0f} ms")
    ratio = statistics.median(one.total_ms for one in through) / statistics.median(one.total_ms for one in direct)
    print(f"median stream time, share of direct: {ratio:.3f}")


async def _all(url: str, house: FiresideProcess) -> list[Seen]:
    body = ask("scripted", " ".join(["word"] * WORDS))
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        return await asyncio.gather(*(complete(session, url, headers_of(house), body) for _ in range(STREAMS)))


if __name__ == "__main__":
    main()
