"""RabbitMQ keeps the promises of an event stream."""

from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import aio_pika
import pytest
from aio_pika.abc import AbstractConnection

from fireside.adapters.event_stream.rabbitmq import RabbitEventStream
from fireside.ports.event_stream import EventStreamError
from fireside.testing.conformance.broker_event_stream import TOPIC, BrokerEventStreamConformance, Inject
from fireside.testing.conformance.event_stream import Connect
from fireside.testing.durable import eventually
from fireside.testing.facts import Collector, Publisher, envelope
from tests.servers import RabbitServer, running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitServer]:
    with running(RabbitServer(tmp_path_factory.mktemp("rabbitmq"))) as server:
        yield server


@pytest.fixture
def broker(server: RabbitServer) -> RabbitServer:
    server.start()
    return server


@pytest.fixture
def address(broker: RabbitServer) -> tuple[str, str]:
    return broker.url, uuid4().hex


@pytest.fixture
async def client(broker: RabbitServer) -> AsyncIterator[AbstractConnection]:
    async with await aio_pika.connect(broker.url) as connection:
        yield connection


async def connections(url: str, namespace: str) -> AsyncIterator[Connect]:
    opened = list[RabbitEventStream]()

    async def connect() -> RabbitEventStream:
        stream = RabbitEventStream(url, namespace=namespace)
        opened.append(stream)
        await stream.open()
        return stream

    yield connect
    for stream in opened:
        await stream.close()


@pytest.fixture
async def connect(address: tuple[str, str]) -> AsyncIterator[Connect]:
    async for connect in connections(*address):
        yield connect


@pytest.fixture
async def connect_elsewhere(broker: RabbitServer) -> AsyncIterator[Connect]:
    async for connect in connections(broker.url, "else.where_ü"):
        yield connect


def name(address: tuple[str, str]) -> str:
    return f"fireside-{address[1]}.facts"


@pytest.mark.requirement("P8")
class TestRabbitEventStream(BrokerEventStreamConformance):
    @pytest.fixture
    def inject(self, client: AbstractConnection, address: tuple[str, str]) -> Inject:
        async def inject(message: bytes) -> None:
            channel = await client.channel()
            exchange = await channel.get_exchange(name(address))
            await exchange.publish(aio_pika.Message(message), TOPIC)
            await channel.close()

        return inject


async def test_credentials_that_rabbitmq_refuses_are_told_at_once(broker: RabbitServer) -> None:
    stream = RabbitEventStream(broker.url.replace("://", "://nobody:wrong@"))
    with pytest.raises(EventStreamError, match="RabbitMQ refuses the user"):
        await stream.open()
    await stream.close()


async def test_facts_are_on_disk_before_they_are_confirmed_whatever_the_settings(connect: Connect) -> None:
    assert await (await connect()).shortcomings() == ()


async def test_a_queue_that_somebody_deletes_is_made_anew(
    connect: Connect, client: AbstractConnection, address: tuple[str, str]
) -> None:
    stream, collector = await connect(), Collector()
    await stream.subscribe("readers", frozenset({TOPIC}), collector.receive)
    await (await client.channel()).queue_delete(f"{name(address)}.readers")
    publisher = Publisher(stream)

    async def arrives() -> bool | None:
        await publisher.publish(envelope(len(publisher.log) + 1))
        return bool(collector.received) or None

    await eventually(arrives, within_s=40.0)


async def test_nothing_is_published_through_a_closed_stream(connect: Connect) -> None:
    stream = await connect()
    await stream.close()
    for destination in stream.destinations():
        with pytest.raises(EventStreamError, match="closed"):
            await stream.publish(destination, [envelope(1)])
