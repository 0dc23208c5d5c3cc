"""The client protocol of NATS, against a scripted server that says things piece by piece."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from fireside.adapters.transporter.nats_wire import WRITE_PACKETS, NatsWire
from fireside.ports.transporter import TransporterError

WAIT_S = 30.0


class ScriptedServer:
    """Greets, takes CONNECT, answers PING, and says what a test gives it to say."""

    def __init__(self) -> None:
        self.connect: dict[str, Any] = {}
        self.refusal = b""
        self.said: list[bytes] = []
        self._writer: asyncio.StreamWriter | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        writer.write(b'INFO {"max_payload": 1000}\r\n')
        while line := await reader.readline():
            verb, _, rest = line.strip().partition(b" ")
            if verb == b"CONNECT":
                self.connect = json.loads(rest)
            if self.refusal:
                writer.write(b"-ERR '%b'\r\n" % self.refusal)
                break
            if verb == b"PING":
                writer.write(b"PONG\r\n")
            elif verb != b"CONNECT":
                self.said.append(line)
        writer.close()

    async def say(self, *pieces: bytes) -> None:
        assert self._writer is not None
        for piece in pieces:
            self._writer.write(piece)
            await self._writer.drain()
            await asyncio.sleep(0)


@asynccontextmanager
async def listening(script: ScriptedServer) -> AsyncGenerator[str]:
    server = await asyncio.start_server(script.serve, "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


class Heard:
    def __init__(self) -> None:
        self.messages: list[tuple[bytes, bytes]] = []
        self._news = asyncio.Event()

    def take(self, subject: bytes, payload: bytes) -> None:
        self.messages.append((subject, payload))
        self._news.set()

    async def wait_for(self, count: int) -> list[tuple[bytes, bytes]]:
        async with asyncio.timeout(WAIT_S):
            while len(self.messages) < count:
                self._news.clear()
                await self._news.wait()
        return self.messages


@pytest.fixture
async def script() -> ScriptedServer:
    return ScriptedServer()


@pytest.fixture
async def address(script: ScriptedServer) -> AsyncIterator[str]:
    async with listening(script) as found:
        yield found


@pytest.fixture
async def heard() -> Heard:
    return Heard()


async def test_messages_arrive_whole_and_in_order_however_they_are_cut(
    script: ScriptedServer, address: str, heard: Heard
) -> None:
    wire = NatsWire(f"nats://{address}", name="n", on_message=heard.take)
    await wire.open()
    whole = b"MSG a 1 4\r\nMSG \r\nMSG b 2 reply 0\r\n\r\nPING\r\nMSG c 3 6\r\nx\r\ny\r\n\r\n"

    await script.say(*(bytes([byte]) for byte in whole))
    await script.say(whole)

    once = [(b"a", b"MSG "), (b"b", b""), (b"c", b"x\r\ny\r\n")]
    assert await heard.wait_for(6) == once * 2
    await wire.round_trip()
    assert script.said == [b"PONG\r\n"] * 2
    wire.close()


@pytest.mark.parametrize(
    ("login", "shown"),
    [
        ("", {}),
        ("us%40er:pass%2F@", {"user": "us@er", "pass": "pass/"}),
        ("secret-token@", {"auth_token": "secret-token"}),
    ],
)
async def test_it_signs_in_with_what_the_address_holds(
    script: ScriptedServer, address: str, heard: Heard, login: str, shown: dict[str, str]
) -> None:
    wire = NatsWire(f"nats://{login}{address}", name="fireside n", on_message=heard.take)
    await wire.open()

    assert {key: script.connect[key] for key in ("user", "pass", "auth_token") if key in script.connect} == shown
    assert script.connect["name"] == "fireside n"
    wire.close()


async def test_the_reason_of_a_refusal_is_told(script: ScriptedServer, address: str, heard: Heard) -> None:
    script.refusal = b"Authorization Violation"

    with pytest.raises(TransporterError, match="Authorization Violation"):
        await NatsWire(f"nats://user:wrong@{address}", name="n", on_message=heard.take).open()


async def test_who_waits_for_a_server_that_hangs_up_is_told(script: ScriptedServer, address: str, heard: Heard) -> None:
    wire = NatsWire(f"nats://{address}", name="n", on_message=heard.take)
    await wire.open()
    script.refusal = b"Slow Consumer"

    with pytest.raises(TransporterError, match="Slow Consumer"):
        await wire.round_trip()
    with pytest.raises(TransporterError, match="Slow Consumer"):
        wire.publish(b"a", b"late")
    assert await wire.broken == "Slow Consumer"


async def test_what_is_published_before_closing_is_written(script: ScriptedServer, address: str, heard: Heard) -> None:
    wire = NatsWire(f"nats://{address}", name="n", on_message=heard.take)
    await wire.open()

    wire.publish(b"a", b"last words")
    wire.close()

    async with asyncio.timeout(WAIT_S):
        while len(script.said) < 2:
            await asyncio.sleep(0)
    assert script.said == [b"PUB a 10\r\n", b"last words\r\n"]


async def test_a_message_may_be_cut_anywhere(heard: Heard) -> None:
    wire = NatsWire("nats://nowhere", name="n", on_message=heard.take)
    whole = b"MSG a 1 4\r\nMSG \r\nMSG b 2 reply 0\r\n\r\nMSG c 3 6\r\nx\r\ny\r\n\r\n"

    for cut in range(1, len(whole)):
        heard.messages.clear()
        wire.data_received(whole[:cut])
        wire.data_received(whole[cut:])
        assert heard.messages == [(b"a", b"MSG "), (b"b", b""), (b"c", b"x\r\ny\r\n")], cut


class Written(asyncio.Transport):
    """Keeps what is written, each time by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.writes.append(bytes(data))

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass


async def test_answers_to_what_came_are_written_together_in_the_turn_of_the_loop_that_gave_them() -> None:
    loop, written, woken = asyncio.get_running_loop(), Written(), asyncio.Event()

    async def answer(subject: bytes) -> None:
        await woken.wait()
        wire.publish(subject, b"")

    wire = NatsWire("nats://nowhere", name="n", on_message=lambda _subject, _payload: woken.set())
    wire.connection_made(written)
    answers = [asyncio.create_task(answer(subject)) for subject in (b"a", b"b")]
    await asyncio.sleep(0)

    wire.data_received(b"MSG x 1 0\r\n\r\n")
    at_its_end = loop.create_future()
    loop.call_soon(lambda: at_its_end.set_result(tuple(written.writes)))

    assert await at_its_end == (b"PUB a 0\r\n\r\nPUB b 0\r\n\r\n",)
    await asyncio.gather(*answers)


async def test_many_packets_are_on_their_way_before_the_last_of_them_is_made() -> None:
    written = Written()
    wire = NatsWire("nats://nowhere", name="n", on_message=lambda _subject, _payload: None)
    wire.connection_made(written)
    packet = b"PUB a 0\r\n\r\n"

    for _ in range(WRITE_PACKETS + 1):
        wire.publish(b"a", b"")
    at_once = tuple(written.writes)
    await asyncio.sleep(0)

    assert at_once == (packet * WRITE_PACKETS,)
    assert written.writes == [*at_once, packet]
