"""Redis Streams keep the promises of an event stream, on a server that syncs before it answers."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from uuid import uuid4

import pytest
from redis.asyncio import Redis

from fireside.adapters.event_stream.redis_streams import RedisEventStream
from fireside.ports.event_stream import EventEnvelope, EventStream, EventStreamError
from fireside.testing.conformance.broker_event_stream import TOPIC, BrokerEventStreamConformance, Inject
from fireside.testing.conformance.event_stream import Connect
from fireside.testing.durable import eventually
from fireside.testing.facts import Collector, Publisher, envelope
from tests.servers import RedisServer, running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with running(RedisServer(tmp_path_factory.mktemp("redis"))) as server:
        yield server


@pytest.fixture
def broker(server: RedisServer) -> RedisServer:
    server.start()
    return server


@pytest.fixture
def address(broker: RedisServer) -> tuple[str, str]:
    return f"{broker.url}?take_over_s=1", uuid4().hex


@pytest.fixture
async def client(broker: RedisServer) -> AsyncIterator[Redis]:
    async with Redis.from_url(broker.url) as client:
        yield client


async def connections(url: str, namespace: str) -> AsyncIterator[Connect]:
    opened = list[RedisEventStream]()

    async def connect() -> RedisEventStream:
        stream = RedisEventStream(url, namespace=namespace, take_over_s=1.0)
        opened.append(stream)
        await stream.open()
        return stream

    yield connect
    for stream in opened:
        await stream.close()


@pytest.fixture
async def connect(broker: RedisServer, address: tuple[str, str]) -> AsyncIterator[Connect]:
    async for connect in connections(broker.url, address[1]):
        yield connect


@pytest.fixture
async def connect_elsewhere(broker: RedisServer) -> AsyncIterator[Connect]:
    async for connect in connections(broker.url, "else.where_ü"):
        yield connect


def key(address: tuple[str, str]) -> str:
    return f"{{fireside-{address[1]}.facts}}"


class TestRedisEventStream(BrokerEventStreamConformance):
    @pytest.fixture
    def inject(self, client: Redis, address: tuple[str, str]) -> Inject:
        async def inject(message: bytes) -> None:
            await client.xadd(key(address), {"fact": message})

        return inject


async def published(stream: EventStream, *sequences: int) -> None:
    (destination,) = stream.destinations()
    await stream.publish(destination, [envelope(n) for n in sequences])


async def test_what_a_group_has_not_acknowledged_is_never_trimmed(
    connect: Connect, client: Redis, address: tuple[str, str]
) -> None:
    stuck, well, stream = Collector(), Collector(), await connect()
    stuck.refuse = lambda event: event.sequence > 500
    await stream.subscribe("stuck", frozenset({TOPIC}), stuck.receive)
    await stream.subscribe("well", frozenset({TOPIC}), well.receive)
    publisher = Publisher(stream)
    await publisher.publish(*(envelope(n) for n in range(1, 501)))
    await until(lambda: len(stuck.sequences) == len(well.sequences) == 500)
    await publisher.publish(*(envelope(n) for n in range(501, 1501)))
    await until(lambda: len(well.sequences) == 1500)
    await publisher.publish(*(envelope(n) for n in range(1501, 2501)))
    assert await client.xlen(key(address)) == 2000
    stuck.refuse = lambda _event: False
    await until(lambda: len(stuck.sequences) == 2500)
    assert stuck.sequences == list(range(1, 2501))


async def test_what_lies_ready_is_handed_over_many_at_once_and_in_order(connect: Connect) -> None:
    stream, sizes, collector = await connect(), list[int](), Collector()

    async def receive(facts: Sequence[EventEnvelope]) -> None:
        sizes.append(len(facts))
        await collector.receive(facts)

    await (await stream.subscribe("late", frozenset({TOPIC}), receive)).close()
    await published(stream, *range(1, 2501))
    await stream.subscribe("late", frozenset({TOPIC}), receive)
    await until(lambda: len(collector.received) == 2500)
    assert sizes == [1000, 1000, 500]
    assert collector.sequences == list(range(1, 2501))


async def test_what_a_member_has_read_ahead_goes_in_order_to_the_one_after_it(
    connect: Connect, client: Redis, address: tuple[str, str]
) -> None:
    busy, after, stream = asyncio.Event(), Collector(), await connect()

    async def receive(_: Sequence[EventEnvelope]) -> None:
        busy.set()
        await asyncio.Event().wait()

    leaving = await stream.subscribe("group", frozenset({TOPIC}), receive)
    await published(stream, *range(1, 501))
    await busy.wait()

    async def delivered() -> int:
        return (await client.xpending(key(address), "group"))["pending"]

    async with asyncio.timeout(20):
        while await delivered() < 400:
            await asyncio.sleep(0.01)
    await leaving.close()
    await (await connect()).subscribe("group", frozenset({TOPIC}), after.receive)
    await until(lambda: len(after.sequences) == 500)
    assert after.sequences == list(range(1, 501))


async def test_a_stream_without_groups_stays_bounded(connect: Connect, client: Redis, address: tuple[str, str]) -> None:
    stream = await connect()
    for start in range(0, 16_000, 1000):
        await published(stream, *range(start, start + 1000))
    assert await client.xlen(key(address)) < 12_000


async def test_a_fact_that_too_few_replicas_have_is_not_published(broker: RedisServer) -> None:
    stream = RedisEventStream(broker.url, namespace=uuid4().hex, replicas=1)
    with pytest.raises(EventStreamError, match="0 replicas of Redis have the facts, 1 are required"):
        await published(stream, 1)
    await stream.close()


async def test_credentials_that_redis_refuses_are_told_at_once(broker: RedisServer) -> None:
    stream = RedisEventStream(broker.url.replace("://", "://nobody:wrong@"))
    with pytest.raises(EventStreamError, match="Redis refuses"):
        await stream.open()
    await stream.close()


async def test_settings_with_which_facts_can_be_lost_are_named(connect: Connect, client: Redis) -> None:
    stream = await connect()
    assert await stream.shortcomings() == []
    await client.config_set("appendfsync", "everysec")
    await client.config_set("maxmemory-policy", "allkeys-lru")
    try:
        first, second = await stream.shortcomings()
    finally:
        await client.config_set("appendfsync", "always")
        await client.config_set("maxmemory-policy", "noeviction")
    assert "appendfsync always" in first
    assert "noeviction" in second


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


async def test_a_member_that_lost_its_lease_unawares_overtakes_nobody(
    connect: Connect, client: Redis, address: tuple[str, str]
) -> None:
    go_on, taken, second = asyncio.Event(), list[int](), Collector()

    async def receive_slowly(events: Sequence[EventEnvelope]) -> None:
        await go_on.wait()
        taken.extend(event.sequence for event in events)

    stream = await connect()
    await stream.subscribe("readers", frozenset({TOPIC}), receive_slowly)
    await published(stream, 1)
    lease = f"{key(address)}:lease:readers"

    async def is_delivered() -> bool | None:
        return (await client.xpending(key(address), "readers"))["pending"] == 1 or None

    await eventually(is_delivered)
    await client.set(lease, "somebody else", px=2000)
    await published(stream, 2)
    go_on.set()
    await until(lambda: taken == [1])
    assert await client.get(lease) == b"somebody else"
    await (await connect()).subscribe("readers", frozenset({TOPIC}), second.receive)
    await until(lambda: 2 in [*taken, *second.sequences])
    assert [*taken, *second.sequences] == [1, 2]
