"""Replies whose pieces are written in the moment in which they come, on both event loops."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from fireside.adapters.language_model.connections import Connections, target_of
from fireside.adapters.language_model.wire import BrokenReplyError, SilentServerError, Wire
from tests.adapters.wire.test_wire import CHUNKED, LENGTH, UNTIL_CLOSED, Server, serving, until

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


class Sink:
    """Where pieces are written; it can be closed for a while, and break."""

    def __init__(self) -> None:
        self.pieces = list[bytes]()
        self.tasks = list[asyncio.Task[None] | None]()
        self.open = asyncio.Event()
        self.open.set()
        self.breaks = False
        self.given_up = 0

    async def write(self, data: bytes) -> None:
        self.tasks.append(asyncio.current_task())
        if self.breaks:
            raise ValueError("broken")
        try:
            if not self.open.is_set():
                await self.open.wait()
        except asyncio.CancelledError:
            self.given_up += 1
            raise
        self.pieces.append(data)

    async def has(self, *pieces: bytes) -> None:
        await until(lambda: self.pieces == list(pieces))


class Piped:
    """A server that sends what it is told to, and a reply of it that is piped into a sink."""

    def __init__(self) -> None:
        self.server, self.sink = Server(), Sink()
        self.connections = Connections(most=2, read_timeout_s=0.4, keep_s=0.4)
        self.server.answer = self._answer
        self._ready = asyncio.get_running_loop().create_future()

    async def _answer(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD)
        self._ready.set_result(writer)
        await asyncio.Event().wait()

    async def pipe(self, write: Callable[[bytes], Awaitable[None]] | None = None) -> Wire:
        wire = await self.connections.ask(target_of("GET", self.server.url, {}), None)
        try:
            await wire.pipe(write or self.sink.write)
        finally:
            self.connections.give_back(wire)
        return wire

    async def send(self, data: bytes) -> None:
        (await self._ready).write(data)

    async def abort(self) -> None:
        (await self._ready).transport.abort()


@pytest.fixture
async def piped() -> AsyncIterator[Piped]:
    piped = Piped()
    async with serving(piped.server):
        yield piped
        await piped.connections.close()
        if piped._ready.done():
            await piped.abort()


@pytest.mark.parametrize(("reply", "close"), [(LENGTH, False), (CHUNKED, False), (UNTIL_CLOSED, True)])
async def test_replies_of_every_form_are_piped(piped: Piped, reply: bytes, close: bool) -> None:
    piped.server.answer = piped.server.write(reply, close=close)

    wire = await piped.pipe()

    assert b"".join(piped.sink.pieces) == b"hello"
    assert wire.is_reusable is not close


async def test_a_piece_is_written_as_it_comes_and_waits_for_no_task(piped: Piped) -> None:
    piping = asyncio.create_task(piped.pipe())
    for number in range(4):
        await piped.send(chunk(b"%d" % number))
        await piped.sink.has(*(b"%d" % each for each in range(number + 1)))
    await piped.send(b"0\r\n\r\n")
    await piping

    assert piped.sink.tasks == [piping, None, None, None]


async def test_what_comes_while_a_piece_waits_to_be_written_is_written_after_it(piped: Piped) -> None:
    piping = asyncio.create_task(piped.pipe())
    await piped.send(chunk(b"a"))
    await piped.sink.has(b"a")

    for _ in range(2):  # the second piece waits in no task, then the third in one
        piped.sink.open.clear()
        begun = len(piped.sink.tasks)
        await piped.send(chunk(b"b"))
        await until(lambda begun=begun: len(piped.sink.tasks) > begun)
        for piece in (b"c", b"d"):
            await piped.send(chunk(piece))
            await asyncio.sleep(0.02)
        piped.sink.open.set()
        await until(lambda: b"".join(piped.sink.pieces).endswith(b"bcd"))
    await piped.send(b"0\r\n\r\n")
    await piping

    assert b"".join(piped.sink.pieces) == b"abcdbcd"


async def test_pieces_that_come_in_one_turn_of_the_loop_keep_their_order(piped: Piped) -> None:
    piping = asyncio.create_task(piped.pipe())
    await piped.send(chunk(b"a"))
    await piped.sink.has(b"a")

    piped.sink.open.clear()
    (wire,) = piped.connections._open
    for piece in (b"b", b"c", b"d"):  # as event loops do that read until nothing is left
        wire.data_received(chunk(piece))
    assert len(piped.sink.tasks) == 2
    piped.sink.open.set()
    await piped.send(b"0\r\n\r\n")
    await piping

    assert b"".join(piped.sink.pieces) == b"abcd"


async def test_a_sink_that_is_slow_holds_up_the_server_and_loses_nothing(piped: Piped) -> None:
    size, written, taken = 64_000_000, 0, 0

    async def flood(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        while written < size:
            writer.write(bytes(1_000_000))
            await writer.drain()
            written += 1_000_000

    async def take(data: bytes) -> None:
        nonlocal taken
        if not taken:
            await asyncio.sleep(0.8)  # twice the longest silence
            held_back.append(written < size)
        taken += len(data)

    held_back = list[bool]()
    piped.server.answer = flood
    await piped.pipe(take)

    assert held_back == [True]
    assert taken == size


@pytest.mark.parametrize("first", [True, False], ids=["the first piece", "a later one"])
async def test_a_sink_that_breaks_ends_the_piping_and_the_server_notices(piped: Piped, first: bool) -> None:
    piping = asyncio.create_task(piped.pipe())
    if not first:
        await piped.send(chunk(b"a"))
        await piped.sink.has(b"a")
    piped.sink.breaks = True
    await piped.send(chunk(b"b"))

    with pytest.raises(ValueError, match="broken"):
        await piping
    await until(lambda: not piped.connections._open)


async def test_a_reply_that_breaks_off_is_an_error_after_what_came(piped: Piped) -> None:
    piping = asyncio.create_task(piped.pipe())
    for piece in (b"a", b"b"):
        await piped.send(chunk(piece))
        await until(lambda piece=piece: piece in piped.sink.pieces)
    await piped.abort()

    with pytest.raises(BrokenReplyError):
        await piping


async def test_a_server_that_falls_silent_is_given_up(piped: Piped) -> None:
    piping = asyncio.create_task(piped.pipe())
    await piped.send(chunk(b"a"))

    with pytest.raises(SilentServerError):
        await piping
    assert piped.sink.pieces == [b"a"]


@pytest.mark.parametrize("waits", ["for a piece", "to be written"])
async def test_whoever_leaves_hangs_up_and_nothing_more_is_written(piped: Piped, waits: str) -> None:
    piping = asyncio.create_task(piped.pipe())
    await piped.send(chunk(b"a"))
    await piped.sink.has(b"a")
    if waits == "to be written":
        piped.sink.open.clear()
        await piped.send(chunk(b"b"))
        await until(lambda: len(piped.sink.tasks) == 2)
        await asyncio.sleep(0)
    piping.cancel()

    with pytest.raises(asyncio.CancelledError):
        await piping
    await until(lambda: not piped.connections._open)
    await piped.send(chunk(b"c"))
    await asyncio.sleep(0.02)
    assert piped.sink.pieces == [b"a"]
    assert piped.sink.given_up == (waits == "to be written")
