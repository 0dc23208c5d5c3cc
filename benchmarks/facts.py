"""Facts/s with confirms through each event stream, beside the broker's bare driver with the same durability.

Run `python -m benchmarks.facts [nats|redis|amqp ...]`; all when none is named. Starts a server of its own for each.
`published` hands facts over in the batches of the relay and waits for their confirmation; `to the inbox` ends when the
consumer has them in its inbox and has acknowledged them (the bare consumer: in a table of SQLite with the same
pragmas). Both in shuffled order in each round. Goal: at least 0.7 x the bare driver.
"""

import argparse
import asyncio
import random
import sqlite3
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from statistics import median
from time import perf_counter

import pytest
from tests.servers import NatsServer, OwnServer, RabbitServer, RedisServer, running

from benchmarks.bare_brokers import Bare, BareJetStream, BareRabbit, BareRedis
from benchmarks.paired import interval
from fireside.adapters.event_stream.envelope_codec import encode
from fireside.bootstrap.event_streams import make_event_stream
from fireside.bootstrap.server import new_event_loop
from fireside.ports.event_stream import EventEnvelope, EventStream
from fireside.runtime.durable import Database, DurableSettings, inbox_store
from fireside.testing.durable import temporary_database
from fireside.testing.facts import envelope

BROKERS: dict[str, tuple[type[OwnServer], type[Bare]]] = {
    "nats": (NatsServer, BareJetStream),
    "redis": (RedisServer, BareRedis),
    "amqp": (RabbitServer, BareRabbit),
}
FACTS = 1_000
ROUNDS, WARM_UP = 7, 1
GOAL = 0.7
BATCH = DurableSettings().batch
GROUP, TOPIC = "auditor", "ledger.entered"
_PATIENCE_S = 10.0

Send = Callable[[Sequence[EventEnvelope]], Awaitable[None]]


async def publish(send: Send) -> float:
    """Facts/s handed over."""
    facts = [envelope(number) for number in range(1, FACTS + 1)]
    began = perf_counter()
    for start in range(0, FACTS, BATCH):
        await send(facts[start : start + BATCH])
    return FACTS / (perf_counter() - began)


class Arrivals:
    """Counts what was taken into safe keeping."""

    def __init__(self) -> None:
        self.count = 0
        self._enough, self._wanted = asyncio.Event(), 0

    def add(self, count: int) -> None:
        """So many more."""
        self.count += count
        if self.count >= self._wanted:
            self._enough.set()

    async def catch_up(self) -> None:
        """Wait for what was published before anyone received."""
        await self._reach(FACTS)

    async def rate_of(self, publishing: Callable[[], Awaitable[float]]) -> float:
        """Facts/s from the first handed over to the last in safe keeping."""
        wanted, began = self.count + FACTS, perf_counter()
        await publishing()
        await self._reach(wanted)
        return FACTS / (perf_counter() - began)

    async def _reach(self, wanted: int) -> None:
        self._wanted = wanted
        if self.count < wanted:
            self._enough.clear()
            async with asyncio.timeout(_PATIENCE_S):
                await self._enough.wait()


async def ours(stream: EventStream, database: Database) -> dict[str, float]:
    """Rates of the event stream; what was only published is received before the other begins."""
    arrivals = Arrivals()
    (destination,) = stream.destinations()

    async def send(facts: Sequence[EventEnvelope]) -> None:
        await stream.publish(destination, facts)

    async def receive(facts: Sequence[EventEnvelope]) -> None:
        async with database.transaction() as unit:
            await inbox_store.add(unit.session, GROUP, facts, now=database.clock.now())
        arrivals.add(len(facts))

    rate = await publish(send)
    subscription = await stream.subscribe(GROUP, frozenset({TOPIC}), receive)
    await arrivals.catch_up()
    through = await arrivals.rate_of(lambda: publish(send))
    await subscription.close()
    return {"published": rate, "to the inbox": through}


async def theirs(bare: Bare, table: sqlite3.Connection) -> dict[str, float]:
    """The same with the bare driver."""
    arrivals = Arrivals()

    async def send(facts: Sequence[EventEnvelope]) -> None:
        await bare.publish([encode(fact) for fact in facts])

    async def receive(bodies: Sequence[bytes]) -> None:
        with table:
            table.executemany("INSERT INTO inbox (body) VALUES (?)", [(body,) for body in bodies])
        arrivals.add(len(bodies))

    rate = await publish(send)
    enough = asyncio.Event()
    consuming = asyncio.create_task(bare.consume(receive, enough))
    await arrivals.catch_up()
    through = await arrivals.rate_of(lambda: publish(send))
    enough.set()
    consuming.cancel()
    await asyncio.gather(consuming, return_exceptions=True)
    return {"published": rate, "to the inbox": through}


@asynccontextmanager
async def _both(url: str, bare: Bare, folder: Path) -> AsyncGenerator[tuple[EventStream, Database, sqlite3.Connection]]:
    stream = make_event_stream(url, namespace="bench")
    await stream.open()
    await bare.open(url)
    table = sqlite3.connect(folder / "bare.sqlite")
    table.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE inbox (body BLOB);")
    async with temporary_database(GROUP) as database:

        async def ignore(_: Sequence[EventEnvelope]) -> None:
            """The group only has to be there before anything is published."""

        await (await stream.subscribe(GROUP, frozenset({TOPIC}), ignore)).close()
        yield stream, database, table
    table.close()
    await bare.close()
    await stream.close()


async def compare(url: str, bare: Bare, folder: Path) -> dict[str, tuple[list[float], list[float]]]:
    """Rates of both, round by round."""
    chance, found = random.Random(7), dict[str, tuple[list[float], list[float]]]()
    async with _both(url, bare, folder) as (stream, database, table):
        for round_ in range(WARM_UP + ROUNDS):
            rates = dict[bool, dict[str, float]]()
            for is_ours in chance.sample([True, False], 2):
                rates[is_ours] = await (ours(stream, database) if is_ours else theirs(bare, table))
            if round_ >= WARM_UP:
                for name, rate in rates[True].items():
                    mine, other = found.setdefault(name, ([], []))
                    mine.append(rate)
                    other.append(rates[False][name])
    return found


def measure(kind: type[OwnServer], bare: Bare) -> dict[str, tuple[list[float], list[float]]]:
    """Rates of both with a server of one kind."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fireside-")))
        server = stack.enter_context(running(kind(folder)))
        runner = stack.enter_context(asyncio.Runner(loop_factory=new_event_loop()))
        return runner.run(compare(server.url, bare, folder))


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.facts")
    parser.add_argument("brokers", nargs="*", metavar="broker", help=f"of {', '.join(BROKERS)}; all when none is given")
    print("| facts/s | Fireside | bare driver | ratio | goal |\n|---|---|---|---|---|")
    for broker in parser.parse_args().brokers or list(BROKERS):
        kind, bare = BROKERS[broker]
        try:
            found = measure(kind, bare())
        except pytest.skip.Exception as reason:
            print(f"not measured: {reason}")
            continue
        for name, (mine, other) in found.items():
            ratio = interval([a / b for a, b in zip(mine, other, strict=True)])
            print(
                f"| {broker}, {name} | {median(mine):,.0f} | {median(other):,.0f} | {ratio} | >= {GOAL} |", flush=True
            )


if __name__ == "__main__":
    main()
