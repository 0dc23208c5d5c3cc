"""Facts while a master of Redis is killed: publishing fails for a while, and all goes on at the next master.

With `replicas`, nothing that was acknowledged is lost. Without, Redis copies to its replicas after it acknowledged, so
what it acknowledged in the last moment before it died may be lost with it.
"""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from uuid import uuid4

import pytest

from fireside.adapters.event_stream.redis_streams import RedisEventStream
from fireside.bootstrap.environment import SettingsError
from fireside.bootstrap.event_streams import make_event_stream
from fireside.ports.event_stream import EventEnvelope, EventStreamError
from fireside.testing.durable import eventually
from fireside.testing.facts import Collector, Entered, envelope
from tests.redis_servers import Cluster, RedisServer, Watched, redis_cluster, until, watched_by_sentinels

LOST_WITHIN_S = 1.0
"""How long before the master's death a fact may have been acknowledged that is lost, where no replica is waited for."""
BEFORE, AFTER = 100, 100


@dataclass
class Publishing:
    """States one fact after another about one thing, each again until it is taken, as the relay does.

    Attributes:
        acknowledged: When each was taken, by its number.
        failed_at: When one was not.
    """

    stream: RedisEventStream
    acknowledged: dict[int, float] = field(default_factory=dict[int, float])
    failed_at: list[float] = field(default_factory=list[float])
    facts: list[EventEnvelope] = field(default_factory=list[EventEnvelope])

    async def until(self, done: Callable[[], bool]) -> None:
        (destination,) = self.stream.destinations()
        account = uuid4()
        async with asyncio.timeout(60):
            while not done():
                number = len(self.acknowledged) + 1
                if len(self.facts) < number:
                    self.facts.append(envelope(number, about=account))
                try:
                    await self.stream.publish(destination, [self.facts[-1]])
                except EventStreamError:
                    self.failed_at.append(monotonic())
                    await asyncio.sleep(0.02)
                else:
                    self.acknowledged[number] = monotonic()


async def lost_by_fail_over(url: str, master: RedisServer, replica: RedisServer, *, replicas: int) -> list[float]:
    """Kill a master while facts are published, start it again once its replica is master, and see what arrives.

    Returns:
        How long before the death each fact was acknowledged that never arrived.
    """
    stream, group = RedisEventStream(url, replicas=replicas, take_over_s=1.0), Collector()
    publishing = Publishing(stream)
    await stream.open()
    await stream.subscribe("group", frozenset({Entered.topic}), group.receive)
    await publishing.until(lambda: len(publishing.acknowledged) >= BEFORE)
    assert not publishing.failed_at

    killed_at = monotonic()
    master.kill()
    failing = asyncio.create_task(publishing.until(lambda: len(publishing.acknowledged) >= BEFORE + AFTER))
    await until(replica.is_master, "a replica that is made master")  # one that is back before would stay master
    master.start()
    if replicas:
        await master.follow(replica)
    await failing
    assert publishing.failed_at, "the fail-over was not noticed"

    async def last_has_arrived() -> bool | None:
        return BEFORE + AFTER in group.sequences or None

    await eventually(last_has_arrived, within_s=30.0)
    await stream.close()
    assert group.sequences == sorted(group.sequences)
    missing = set(publishing.acknowledged) - set(group.sequences)
    return [killed_at - publishing.acknowledged[number] for number in missing]


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    with watched_by_sentinels(tmp_path) as watched:
        yield watched


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with redis_cluster(tmp_path, replicas=True) as cluster:
        yield cluster


@pytest.mark.requirement("P11", "P15")
async def test_no_fact_that_a_replica_has_is_lost_when_sentinel_names_another_master(watched: Watched) -> None:
    assert await lost_by_fail_over(watched.url, watched.master, watched.replica, replicas=1) == []


@pytest.mark.requirement("P11")
async def test_facts_go_on_with_the_replica_of_a_cluster_node_that_died(cluster: Cluster) -> None:
    master, replica = await cluster.keepers_of("{fireside.facts}")

    lost = await lost_by_fail_over(cluster.url, master, replica, replicas=0)

    assert all(before_s < LOST_WITHIN_S for before_s in lost)


def test_a_cluster_cannot_be_told_to_wait_for_replicas() -> None:
    with pytest.raises(SettingsError, match="replicas"):
        make_event_stream("redis+cluster://localhost:7000?replicas=1")
