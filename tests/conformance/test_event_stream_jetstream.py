"""NATS JetStream keeps the promises of an event stream."""

import socket
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from uuid import uuid4

import nats
import pytest
from nats.aio.client import Client

from fireside.adapters.event_stream.jetstream import JetStreamEventStream
from fireside.ports.event_stream import EventStreamError
from fireside.testing.conformance.broker_event_stream import TOPIC, BrokerEventStreamConformance, Inject
from fireside.testing.conformance.event_stream import Connect
from fireside.testing.durable import eventually
from fireside.testing.facts import Collector, Publisher, envelope
from tests.servers import NatsServer, running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    with running(NatsServer(tmp_path_factory.mktemp("nats"))) as server:
        yield server


@pytest.fixture
def broker(server: NatsServer) -> NatsServer:
    server.start()
    return server


@pytest.fixture
def address(broker: NatsServer) -> tuple[str, str]:
    return f"{broker.url}?take_over_s=1", uuid4().hex


@pytest.fixture
async def client(broker: NatsServer) -> AsyncIterator[Client]:
    client = await nats.connect(broker.url)
    yield client
    await client.close()


async def connections(url: str, namespace: str) -> AsyncIterator[Connect]:
    opened = list[JetStreamEventStream]()

    async def connect() -> JetStreamEventStream:
        stream = JetStreamEventStream(url, namespace=namespace, take_over_s=1.0)
        opened.append(stream)
        await stream.open()
        return stream

    yield connect
    for stream in opened:
        await stream.close()


@pytest.fixture
async def connect(broker: NatsServer, address: tuple[str, str]) -> AsyncIterator[Connect]:
    async for connect in connections(broker.url, address[1]):
        yield connect


@pytest.fixture
async def connect_elsewhere(broker: NatsServer) -> AsyncIterator[Connect]:
    async for connect in connections(broker.url, "else.where_ü"):
        yield connect


def name(address: tuple[str, str]) -> str:
    return f"fireside-{address[1]}-facts"


@pytest.mark.requirement("P10")
class TestJetStreamEventStream(BrokerEventStreamConformance):
    @pytest.fixture
    def inject(self, client: Client, address: tuple[str, str]) -> Inject:
        async def inject(message: bytes) -> None:
            await client.jetstream().publish(name(address), message)

        return inject


async def test_what_a_group_has_not_acknowledged_is_never_trimmed(
    connect: Connect, client: Client, address: tuple[str, str]
) -> None:
    stuck, well, stream = Collector(), Collector(), await connect()
    stuck.refuse = lambda event: event.sequence > 150
    await stream.subscribe("stuck", frozenset({TOPIC}), stuck.receive)
    await stream.subscribe("well", frozenset({TOPIC}), well.receive)
    publisher = Publisher(stream)
    for n in range(1, 151):
        await publisher.publish(envelope(n))
    await until(lambda: len(stuck.sequences) == len(well.sequences) == 150)
    for n in range(151, 251):
        await publisher.publish(envelope(n))
    state = (await client.jetstream().stream_info(name(address))).state
    assert 140 < state.first_seq <= 151
    stuck.refuse = lambda _event: False
    await until(lambda: len(stuck.sequences) == 250)


async def test_a_stream_without_groups_stays_bounded(
    connect: Connect, client: Client, address: tuple[str, str]
) -> None:
    publisher = Publisher(await connect())
    for n in range(1, 1402):
        await publisher.publish(envelope(n))
    assert (await client.jetstream().stream_info(name(address))).state.messages < 1250


async def test_the_same_facts_published_again_at_once_are_stored_once(
    connect: Connect, client: Client, address: tuple[str, str]
) -> None:
    stream, events = await connect(), [envelope(1), envelope(2)]
    for destination in stream.destinations():
        await stream.publish(destination, events)
        await stream.publish(destination, events)
    assert (await client.jetstream().stream_info(name(address))).state.messages == 1


async def test_a_server_without_jetstream_is_refused(tmp_path: Path) -> None:
    class Plain(NatsServer):
        def command(self) -> list[str]:
            return [argument for argument in super().command() if argument != "-js"][:-2]

        def answers(self, connection: socket.socket) -> bool:
            return connection.recv(4096).startswith(b"INFO")

    with running(Plain(tmp_path)) as server:
        stream = JetStreamEventStream(server.url)
        with pytest.raises(EventStreamError, match="start it with -js"):
            await stream.open()
        await stream.close()


async def test_it_is_told_when_facts_are_acknowledged_before_they_are_on_disk(
    broker: NatsServer, connect: Connect
) -> None:
    (said,) = await (await connect()).shortcomings()
    assert "sync_interval: always" in said


async def test_nothing_is_published_through_a_closed_stream(connect: Connect) -> None:
    stream = await connect()
    await stream.close()
    for destination in stream.destinations():
        with pytest.raises(EventStreamError, match="closed"):
            await stream.publish(destination, [envelope(1)])


async def until(done: Callable[[], bool]) -> None:
    async def look() -> bool | None:
        return done() or None

    await eventually(look)
