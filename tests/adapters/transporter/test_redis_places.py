"""A master behind Sentinels, and a Redis Cluster, with real processes."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from fireside.adapters.transporter.redis_places import RedisPlaces
from fireside.bootstrap.transporters import make_transporter
from fireside.ports.transporter import Transporter, TransporterError
from fireside.testing.cluster import free_port
from fireside.testing.conformance.transporter import Station
from tests.brokers import OwnServer, own_redis
from tests.needs import need_program

SERVICE = "fireside-test"


@pytest.fixture
async def servers(tmp_path: Path) -> AsyncIterator[list[OwnServer]]:
    """Servers that the test starts; they are stopped after it."""
    started: list[OwnServer] = []
    yield started
    for server in started:
        await server.stop()


async def started(server: OwnServer, servers: list[OwnServer]) -> OwnServer:
    servers.append(server)
    await server.start()
    return server


def port_of(server: OwnServer) -> str:
    return server.url.rpartition(":")[2]


async def commanded(server: OwnServer, *words: str) -> str:
    process = await asyncio.create_subprocess_exec(
        need_program("redis-cli"), "-p", port_of(server), *words, stdout=asyncio.subprocess.PIPE
    )
    told, _ = await process.communicate()
    return told.decode()


async def until_told(server: OwnServer, words: tuple[str, ...], expected: str) -> None:
    async with asyncio.timeout(30):
        while expected not in await commanded(server, *words):
            await asyncio.sleep(0.05)


def sentinel_of(master: OwnServer, folder: Path) -> OwnServer:
    port = free_port()
    settings = folder / "sentinel.conf"
    settings.write_text(
        f"port {port}\nbind 127.0.0.1\ndir {folder}\nsentinel monitor {SERVICE} 127.0.0.1 {port_of(master)} 1\n"
        f"sentinel down-after-milliseconds {SERVICE} 500\nsentinel failover-timeout {SERVICE} 3000\n"
    )
    return OwnServer(
        f"redis+sentinel://127.0.0.1:{port}/{SERVICE}", [need_program("redis-server"), str(settings), "--sentinel"]
    )


async def test_the_new_master_is_found_when_the_old_one_has_died(tmp_path: Path, servers: list[OwnServer]) -> None:
    master = await started(own_redis(tmp_path), servers)
    replica = await started(own_redis(tmp_path), servers)
    await commanded(replica, "replicaof", "127.0.0.1", port_of(master))
    sentinel = await started(sentinel_of(master, tmp_path), servers)
    sentinel_port = OwnServer(f"redis://{sentinel.url.partition('://')[2].partition('/')[0]}", [])
    await until_told(replica, ("info", "replication"), "master_link_status:up")
    await until_told(sentinel_port, ("sentinel", "replicas", SERVICE), port_of(replica))
    station = Station("one", make_transporter(sentinel.url, node_id="one"))
    await station.connect()
    await station.subscribe("REQ")

    await master.stop()
    async with asyncio.timeout(30):
        while not station.reconnects:
            await asyncio.sleep(0.05)

    await station.transporter.publish("REQ", b"after", node_id="one")
    assert await station.next() == ("REQ", b"after")
    assert "MOL.REQ.one\n1" in await commanded(replica, "pubsub", "numsub", "MOL.REQ.one")
    await station.transporter.disconnect()


async def test_a_service_that_the_sentinels_do_not_know_is_named(tmp_path: Path, servers: list[OwnServer]) -> None:
    master = await started(own_redis(tmp_path), servers)
    sentinel = await started(sentinel_of(master, tmp_path), servers)
    transporter = make_transporter(sentinel.url.replace(SERVICE, "other"), node_id="one")

    with pytest.raises(TransporterError, match="other"):
        await transporter.connect(lambda *_: None, on_reconnect=lambda: None)


async def test_packets_cross_a_cluster_and_another_node_serves_when_one_dies(
    tmp_path: Path, servers: list[OwnServer]
) -> None:
    members = [await started(cluster_member(tmp_path / str(number)), servers) for number in range(3)]
    addresses = [f"127.0.0.1:{port_of(member)}" for member in members]
    await commanded(members[0], "--cluster", "create", *addresses, "--cluster-yes")
    for member in members:
        await until_told(member, ("cluster", "info"), "cluster_state:ok")
        await commanded(member, "config", "set", "cluster-require-full-coverage", "no")
    one, two = (
        Station(name, transporter_of(hosts, name)) for name, hosts in (("one", addresses), ("two", addresses[::-1]))
    )
    for station in (one, two):
        await station.connect()
        await station.subscribe("REQ")

    await one.transporter.publish("REQ", b"across", node_id="two")
    assert await two.next() == ("REQ", b"across")

    await members[0].stop()
    async with asyncio.timeout(30):
        while not one.reconnects:
            await asyncio.sleep(0.05)
    await one.transporter.publish("REQ", b"after", node_id="two")
    assert await two.next() == ("REQ", b"after")
    for station in (one, two):
        await station.transporter.disconnect()


def cluster_member(folder: Path) -> OwnServer:
    folder.mkdir()
    port, bus = free_port(), free_port()
    options = ["--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--save", "", "--dir", str(folder)]
    command = [need_program("redis-server"), "--port", str(port), "--cluster-port", str(bus), "--bind", "127.0.0.1"]
    return OwnServer(f"redis://127.0.0.1:{port}", [*command, *options])


def transporter_of(hosts: list[str], node_id: str) -> Transporter:
    return make_transporter(f"redis+cluster://{','.join(hosts)}", node_id=node_id)


def test_the_parts_of_an_address() -> None:
    places = RedisPlaces.read("rediss+sentinel://me:p%40ss@one:1,two/main/3?sentinel_password=hidden")

    assert (places.kind, places.scheme, places.login, places.path) == ("sentinel", "rediss", "me:p%40ss@", "/main/3")
    assert places.hosts == (("one", 1), ("two", 26379))
    assert places.sentinel_password == "hidden"
    assert places.shown == "rediss+sentinel://***@one:1,two/main/3?sentinel_password=***"


async def test_the_servers_of_an_address_keep_login_and_database() -> None:
    assert await RedisPlaces.read("redis://:secret@host/2").urls() == ["redis://:secret@host:6379/2"]
    assert await RedisPlaces.read("rediss+cluster://u:p@a,[::1]:7000").urls() == [
        "rediss://u:p@a:6379",
        "rediss://u:p@[::1]:7000",
    ]
