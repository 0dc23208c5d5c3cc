"""A broker that is full because a group is slow: facts wait in the log, the health says so, and all arrive later."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from subprocess import DEVNULL
from uuid import uuid4

import nats
import pytest
from nats.js.api import DiscardPolicy
from redis.asyncio import Redis

from fireside.bootstrap.event_streams import make_event_stream
from fireside.ports.event_stream import EventStream
from fireside.runtime.durable import Database
from fireside.testing.durable import QUICK, eventually
from fireside.testing.facts import Collector, Entered, Ledger
from fireside.testing.mesh import local_node
from tests.servers import NatsServer, OwnServer, RabbitServer, RedisServer, running

FACTS, TOGETHER = 1500, 10


async def limit_nats(server: NatsServer) -> None:
    """As an operator does who bounds the stream: what comes beyond is refused."""
    client = await nats.connect(server.url)
    stream = client.jetstream()
    config = (await stream.stream_info("fireside-facts")).config
    await stream.update_stream(config, max_msgs=4, discard=DiscardPolicy.NEW)
    await client.close()


async def limit_redis(server: RedisServer) -> None:
    async with Redis.from_url(server.url) as client:
        used = (await client.info("memory"))["used_memory"]
        await client.config_set("maxmemory", used + 600_000)


async def limit_rabbitmq(server: RabbitServer) -> None:
    policy = ["set_policy", "--apply-to", "queues", "bounded", ".*", '{"max-length": 20}']
    command = ["/usr/lib/rabbitmq/bin/rabbitmqctl", "-n", f"fireside{server.port}@localhost", *policy]
    environment = os.environ | server.environment()
    process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=DEVNULL, stderr=DEVNULL)
    assert await process.wait() == 0


@pytest.mark.parametrize(
    ("kind", "limit", "options"),
    [
        pytest.param(NatsServer, limit_nats, "?take_over_s=1", id="nats", marks=pytest.mark.requirement("P10")),
        pytest.param(RedisServer, limit_redis, "?take_over_s=1", id="redis"),
        pytest.param(RabbitServer, limit_rabbitmq, "", id="rabbitmq"),
    ],
)
@pytest.mark.requirement("P15", "P18")
async def test_facts_wait_in_the_log_while_a_broker_is_full_and_all_arrive_in_order(
    tmp_path: Path, kind: type[OwnServer], limit: Callable[[OwnServer], Awaitable[None]], options: str
) -> None:
    slow = Collector()
    slow.refuse = lambda _event: True
    with running(kind(tmp_path)) as server:
        stream = make_event_stream(server.url + options)
        await stream.open()
        try:
            await stream.subscribe("slow", frozenset({Entered.topic}), slow.receive)
            await limit(server)
            await state_more_than_fits(stream, tmp_path, slow)
        finally:
            await stream.close()

    assert slow.sequences == list(range(1, FACTS + 1))


async def state_more_than_fits(stream: EventStream, folder: Path, slow: Collector) -> None:
    """State facts until the broker is full, see that it is told, and have the group take what there is."""
    account = uuid4()
    database = Database(f"sqlite:///{folder}/ledger.sqlite", service="ledger", stream=stream, settings=QUICK)
    ledger = Ledger(database=database)
    async with local_node(ledger):
        for first in range(0, FACTS, TOGETHER):
            async with database.transaction() as unit:
                for n in range(first, first + TOGETHER):
                    unit.emit(Entered(account=account, n=n))
        await eventually(lambda: facts_wait(ledger))
        slow.refuse = lambda _event: False
        await eventually(lambda: all_arrived(slow), within_s=60.0)


async def facts_wait(ledger: Ledger) -> bool | None:
    health = await ledger.health()
    return ("events" in health and "facts wait" in health["events"].detail) or None


async def all_arrived(slow: Collector) -> bool | None:
    return len(slow.sequences) >= FACTS or None
