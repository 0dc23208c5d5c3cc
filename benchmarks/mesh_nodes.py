"""One of two nodes of Fireside for `mesh`, in a process of its own: a JSON line in for each thing to measure, one out.

Run as `python -m benchmarks.mesh_nodes caller|callee URL NAMESPACE`. `mesh_nodes.js` does the same with Moleculer.
"""

import asyncio
import json
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from time import monotonic
from typing import Any, ClassVar

from pydantic import SecretStr

from fireside.bootstrap.server import new_event_loop
from fireside.bootstrap.transporters import make_transporter
from fireside.contracts.base import SIGNED_IN, Action, Contract, Nothing, Signal, StreamAction
from fireside.core.identity import user_identity
from fireside.core.ids import UserId, new_id
from fireside.runtime.logging import LoggingSettings, configure_logging
from fireside.runtime.mesh import Context, MeshSettings, Node, Service, action, on_signal, stream_action

_PATIENCE_S = 20.0


class Echo(Contract):
    """What goes in and comes out."""

    value: int


class Count(Contract):
    """How many."""

    count: int


class Pace(Count):
    """How many, and how long to wait before each."""

    pause_ms: float


class Chunk(Contract):
    """A piece of an answer."""

    text: str
    index: int


class Token(Chunk):
    """A piece of an answer that says when it was made, on the clock that all processes of a machine share."""

    at_ms: float


class Told(Signal):
    """Something was told."""

    topic: ClassVar[str] = "bench.told"
    value: int


ECHO = Action("bench.echo", Echo, Echo, access=SIGNED_IN)
CHUNKS = StreamAction("bench.chunks", Count, Chunk, access=SIGNED_IN)
TOKENS = StreamAction("bench.tokens", Pace, Token, access=SIGNED_IN)
HEARD = Action("bench.heard", Count, Nothing, access=SIGNED_IN)


class Bench(Service):
    """Does nothing, so that only the way to it is measured."""

    name = "bench"

    def __init__(self) -> None:
        self._heard, self._wanted = 0, 0
        self._enough = asyncio.Event()

    @action(ECHO)
    async def echo(self, context: Context, request: Echo) -> Echo:
        """Give back what came."""
        del context
        return request

    @stream_action(CHUNKS)
    async def chunks(self, context: Context, request: Count) -> AsyncGenerator[Chunk, None]:
        """Give so many as fast as they are taken."""
        del context
        for index in range(request.count):
            yield Chunk(text=" token", index=index)

    @stream_action(TOKENS)
    async def tokens(self, context: Context, request: Pace) -> AsyncGenerator[Token, None]:
        """Give so many, one after each pause."""
        del context
        for index in range(request.count):
            await asyncio.sleep(request.pause_ms / 1000)
            yield Token(text=" token", index=index, at_ms=monotonic() * 1000)

    @on_signal(Told)
    async def told(self, context: Context, signal: Told) -> None:
        """Count what was heard."""
        del context, signal
        self._heard += 1
        if self._heard >= self._wanted:
            self._enough.set()

    @action(HEARD)
    async def heard(self, context: Context, request: Count) -> Nothing:
        """Wait until so many were heard since the last time."""
        del context
        self._wanted = request.count
        if self._heard < self._wanted:
            self._enough.clear()
            await self._enough.wait()
        self._heard = 0
        return Nothing()


class Caller:
    """Measures from the caller's side."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def calls(self, *, callers: int, seconds: float) -> dict[str, float]:
        """Calls/s and how long they take, with so many callers of whom each waits for its answer."""
        context = self._context
        return await calls_of(lambda: context.call(ECHO, Echo(value=1)), callers=callers, seconds=seconds)

    async def events(self, *, batch: int, seconds: float) -> dict[str, float]:
        """Events/s, from the first sent to the last handled."""
        began, sent = monotonic(), 0
        while monotonic() < began + seconds:
            for _ in range(batch):
                await self._context.emit(Told(value=1))
            await self._context.call(HEARD, Count(count=batch))
            sent += batch
        return pace(sent, began)

    async def chunks(self, *, batch: int, seconds: float) -> dict[str, float]:
        """Chunks/s of streams of so many chunks, one stream after another."""
        began, received = monotonic(), 0
        while monotonic() < began + seconds:
            async with aclosing(self._context.stream(CHUNKS, Count(count=batch))) as items:
                async for _ in items:
                    received += 1
        return pace(received, began)

    async def tokens(self, *, count: int, pause_ms: float) -> dict[str, float]:
        """How long a token of a slow stream is on its way."""
        took = list[float]()
        async with aclosing(self._context.stream(TOKENS, Pace(count=count, pause_ms=pause_ms))) as items:
            async for item in items:
                took.append(monotonic() * 1000 - item.at_ms)
        return {"count": count, **summary(took)}


async def calls_of(call: Callable[[], Awaitable[object]], *, callers: int, seconds: float) -> dict[str, float]:
    """Calls/s and how long they take, with so many callers of whom each waits for its answer."""
    took, began = list[float](), monotonic()
    ends = began + seconds

    async def call_until_the_end() -> None:
        while (started := monotonic()) < ends:
            await call()
            took.append((monotonic() - started) * 1000)

    await asyncio.gather(*(call_until_the_end() for _ in range(callers)))
    return {**pace(len(took), began), **summary(took)}


def pace(count: int, began: float) -> dict[str, float]:
    """How many, and how many in a second."""
    return {"count": count, "rate": count / (monotonic() - began)}


def summary(samples_ms: list[float]) -> dict[str, float]:
    """Median and 99th percentile."""
    ordered = sorted(samples_ms)
    return {"p50": ordered[int(len(ordered) * 0.5)], "p99": ordered[int(len(ordered) * 0.99)]}


async def run(role: str, url: str, namespace: str) -> None:
    """Be a node until standard input ends."""
    configure_logging(LoggingSettings(level="warning"))
    node = Node(
        node_id=role,
        transporter=make_transporter(url, node_id=role, namespace=namespace),
        settings=MeshSettings(cluster_key=SecretStr("only-for-measurements-0123456789abcdef")),
    )
    if role == "callee":
        node.add(Bench())
    await node.start()
    if role == "caller" and not await node.wait_for(ECHO, timeout_s=_PATIENCE_S):
        raise SystemExit("the callee did not appear")
    user = user_identity(UserId(new_id()), roles=["user"], permissions=["documents:read"])
    caller = Caller(node.context(identity=user))
    await read_commands(caller)
    await node.stop()


async def read_commands(caller: object) -> None:
    """Say that this node is ready, and measure what each line of standard input asks for until it ends."""
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    print(json.dumps("ready"), flush=True)
    while line := await lines.readline():
        asked: dict[str, Any] = json.loads(line)
        print(json.dumps(await getattr(caller, asked.pop("measure"))(**asked)), flush=True)


def main() -> None:
    """Run on the event loop that the server uses."""
    with asyncio.Runner(loop_factory=new_event_loop()) as runner:
        runner.run(run(*sys.argv[1:]))


if __name__ == "__main__":
    main()
