"""Redis for tests: the server of this machine, and servers of a test's own that it may kill."""

import asyncio
import os
import signal
import socket
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from redis.asyncio import Redis
from redis.exceptions import RedisError

from fireside.testing.cluster import free_port
from fireside.testing.orphans import guard, release
from tests.needs import need, need_program

REDIS_URL = os.environ.get("FIRESIDE_TEST_REDIS_URL", "redis://127.0.0.1:6379/0")
WAIT_S = 60.0
CLUSTER_SLOTS = 16384
CLUSTER_BUS = 10_000
"""How far above the port of its clients a server of a cluster listens for the others."""


def need_redis() -> str:
    """The URL of the machine's server."""
    host, _, port = REDIS_URL.split("//")[1].split("/")[0].rpartition("@")[2].partition(":")
    with socket.socket() as probe:
        probe.settimeout(1)
        need(probe.connect_ex((host, int(port or 6379))) == 0, f"a Redis server at {host}:{port or 6379}")
    return REDIS_URL


class RedisServer:
    """One process of `redis-server`, that keeps nothing on disk."""

    def __init__(self, folder: Path, *options: str, port: int | None = None) -> None:
        self.port = port or free_port(CLUSTER_BUS)
        self._folder = folder / str(self.port)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def client(self) -> Redis:
        return Redis(port=self.port, socket_timeout=2, socket_connect_timeout=2, protocol=2)

    def start(self) -> None:
        common = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._folder), "--save", ""]
        command = [need_program("redis-server"), *self._options, *common]
        if "--sentinel" in self._options:
            config = self._folder / "sentinel.conf"
            config.touch()
            command = [command[0], str(config), *self._options, *common[:6]]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        guard(self._process.pid)

    def kill(self) -> None:
        """End it as a power failure would."""
        self._signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait(10)
            release(self._process.pid)
            self._process = None

    def freeze(self) -> None:
        """Have it hold still: connections stay open, and nothing is answered."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    async def is_master(self) -> bool:
        async with self.client as client:
            return (await client.info("replication"))["role"] == "master"

    async def follow(self, master: "RedisServer") -> None:
        """Become the replica of a master, as sentinels would make it in the end."""
        await self.ready()
        await _command(self, "REPLICAOF", "127.0.0.1", master.port)

    async def ready(self) -> None:
        await until(lambda: _answers(self), f"redis-server on port {self.port}")


@contextmanager
def running(*servers: RedisServer) -> Iterator[None]:
    """Start servers; they are killed at the end."""
    with ExitStack() as stack:
        for server in servers:
            server.start()
            stack.callback(server.kill)
        yield


class Watched:
    """A master, a replica and three sentinels that watch them."""

    def __init__(self, folder: Path) -> None:
        self.master = RedisServer(folder, "--repl-diskless-sync-delay", "0")
        self.replica = RedisServer(folder, "--replicaof", "127.0.0.1", str(self.master.port))
        self.sentinels = [RedisServer(folder, "--sentinel") for _ in range(3)]

    @property
    def url(self) -> str:
        hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)
        return f"redis+sentinel://{hosts}/fireside/0"

    async def watch(self) -> None:
        for server in (self.master, self.replica, *self.sentinels):
            await server.ready()
        await until(lambda: _has_replica(self.master), "a replica of the master")
        for sentinel in self.sentinels:
            async with sentinel.client as client:
                await client.execute_command("SENTINEL", "MONITOR", "fireside", "127.0.0.1", self.master.port, 2)
                for name, value in (("down-after-milliseconds", 500), ("failover-timeout", 3000)):
                    await client.execute_command("SENTINEL", "SET", "fireside", name, value)
        for sentinel in self.sentinels:
            await until(lambda sentinel=sentinel: _sees_all(sentinel), "sentinels that see each other and the replica")


@contextmanager
def watched_by_sentinels(folder: Path) -> Iterator[Watched]:
    """A master with a replica under three sentinels. Enter it outside of event loops."""
    watched = Watched(folder)
    with running(watched.master, watched.replica, *watched.sentinels):
        asyncio.run(watched.watch())
        yield watched


class Cluster:
    """Three masters, each with a replica where wanted."""

    def __init__(self, folder: Path, *, replicas: bool) -> None:
        options = ("--cluster-enabled", "yes", "--cluster-node-timeout", "500", "--repl-diskless-sync-delay", "0")
        self.masters = [RedisServer(folder, *options) for _ in range(3)]
        self.replicas = [RedisServer(folder, *options) for _ in range(3 if replicas else 0)]

    @property
    def servers(self) -> list[RedisServer]:
        return [*self.masters, *self.replicas]

    @property
    def url(self) -> str:
        return "redis+cluster://" + ",".join(f"127.0.0.1:{server.port}" for server in self.masters)

    async def keepers_of(self, key: str) -> tuple[RedisServer, RedisServer]:
        """The master that keeps a key and its replica, as the slots were first given out."""
        number = int(await _command(self.masters[0], "CLUSTER", "KEYSLOT", key)) * len(self.masters) // CLUSTER_SLOTS
        return self.masters[number], self.replicas[number]

    async def join(self) -> None:
        for server in self.servers:
            await server.ready()
        for number, master in enumerate(self.masters):
            start, end = number * CLUSTER_SLOTS // 3, (number + 1) * CLUSTER_SLOTS // 3 - 1
            await _command(master, "CLUSTER", "ADDSLOTSRANGE", start, end)
            await _command(master, "CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for server in self.servers[1:]:
            await _command(server, "CLUSTER", "MEET", "127.0.0.1", self.servers[0].port)
        for server in self.servers:
            await until(lambda server=server: _knows(server, len(self.servers)), "cluster nodes that know each other")
        for replica, master in zip(self.replicas, self.masters, strict=False):
            await _command(replica, "CLUSTER", "REPLICATE", (await _command(master, "CLUSTER", "MYID")).decode())
        for server in self.servers:
            await until(lambda server=server: _is_whole(server), "a cluster that serves every slot")
        for master in self.masters if self.replicas else ():
            await until(lambda master=master: _has_replica(master), "a replica of every master")


@contextmanager
def redis_cluster(folder: Path, *, replicas: bool = False) -> Iterator[Cluster]:
    """A cluster of three masters. Enter it outside of event loops."""
    cluster = Cluster(folder, replicas=replicas)
    with running(*cluster.servers):
        asyncio.run(cluster.join())
        yield cluster


async def until(holds: Callable[[], Awaitable[bool]], what: str, *, timeout_s: float = WAIT_S) -> None:
    """Wait for a condition; fails with its name."""
    try:
        async with asyncio.timeout(timeout_s):
            while not await holds():
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"waited {timeout_s} s for {what}") from None


async def _command(server: RedisServer, *words: str | int) -> bytes:
    async with server.client as client:
        answer: bytes = await client.execute_command(*words)
        return answer


async def _answers(server: RedisServer) -> bool:
    try:
        async with server.client as client:
            return bool(await client.ping())
    except (RedisError, OSError):
        return False


async def _sees_all(sentinel: RedisServer) -> bool:
    async with sentinel.client as client:
        found = await client.execute_command("SENTINEL", "MASTER", "fireside")
        state = found if isinstance(found, dict) else dict(zip(found[::2], found[1::2], strict=True))
    shown = {_text(name): _text(value) for name, value in state.items()}
    return (shown.get("num-slaves"), shown.get("num-other-sentinels")) == ("1", "2")


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


async def _knows(server: RedisServer, count: int) -> bool:
    async with server.client as client:
        return int((await client.cluster("INFO"))["cluster_known_nodes"]) == count


async def _is_whole(server: RedisServer) -> bool:
    async with server.client as client:
        info = await client.cluster("INFO")
    return info["cluster_state"] == "ok" and info["cluster_slots_ok"] == str(CLUSTER_SLOTS)


async def _has_replica(master: RedisServer) -> bool:
    async with master.client as client:
        info = await client.info("replication")
    return info["connected_slaves"] == 1 and info["slave0"]["state"] == "online"
