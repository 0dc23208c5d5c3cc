"""Message brokers for tests: the shared ones of this machine, and servers of a test's own that it may stop."""

import asyncio
import os
import signal
import socket
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

import aiormq

from fireside.testing.cluster import free_port
from fireside.testing.orphans import guard, release
from tests.needs import need, need_program

SHARED = {
    "nats": ("FIRESIDE_TEST_NATS_URL", "nats://127.0.0.1:4222"),
    "redis": ("FIRESIDE_TEST_REDIS_URL", "redis://127.0.0.1:6379"),
    "amqp": ("FIRESIDE_TEST_AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/"),
}
START_S = 60.0


def shared_broker(kind: str) -> str:
    """The URL of a broker that all tests use; they name what they make there uniquely."""
    variable, default = SHARED[kind]
    url = os.environ.get(variable, default)
    parts = urlsplit(url)
    need(_is_open(parts.hostname or "", parts.port or 0), f"a server at {url} ({variable} names another)")
    return url


class OwnServer:
    """A server process of a test's own; its folder outlives it, so that it can be started again."""

    def __init__(self, url: str, command: Sequence[str], *, environment: dict[str, str] | None = None) -> None:
        self.url = url
        self._command = command
        self._environment = os.environ | (environment or {})
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Run until the port answers."""
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            env=self._environment,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        guard(self._process.pid)
        async with asyncio.timeout(START_S):
            while not await self._answers():
                assert self._process.returncode is None, f"{self._command[0]} ended at once"
                await asyncio.sleep(0.05)

    async def stop(self) -> None:
        """End it, and whatever it has started, as a crash would. Safe to call twice."""
        process, self._process = self._process, None
        if process is not None:
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
            release(process.pid)

    def pause(self) -> None:
        """Stop it where it stands: its connections stay, and nothing is read or written."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None, "not started"
        os.killpg(self._process.pid, number)

    async def _answers(self) -> bool:
        parts = urlsplit(self.url)
        return await asyncio.to_thread(_is_open, parts.hostname or "", parts.port or 0)


def own_nats(folder: Path) -> OwnServer:
    """A NATS server."""
    port = free_port()
    command = [need_program("nats-server"), "-a", "127.0.0.1", "-p", str(port), "-js", "-sd", str(folder)]
    return OwnServer(f"nats://127.0.0.1:{port}", command)


def own_redis(folder: Path, *options: str) -> OwnServer:
    """A Redis server."""
    port = free_port()
    command = [need_program("redis-server"), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)]
    return OwnServer(f"redis://127.0.0.1:{port}", [*command, "--save", "", *options])


def own_rabbitmq(folder: Path) -> OwnServer:
    """A RabbitMQ node."""
    program = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")  # the one on the path changes to another user
    need(program.is_file() or program.is_symlink(), "the program rabbitmq-server")
    port = free_port()
    environment = {
        "HOME": str(folder),
        "RABBITMQ_NODENAME": f"fireside{port}@localhost",
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_DIST_PORT": str(free_port()),
        "RABBITMQ_MNESIA_BASE": str(folder / "data"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_PID_FILE": str(folder / "pid"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
    }
    return OwnServer(f"amqp://guest:guest@127.0.0.1:{port}/", [str(program)], environment=environment)


def _is_open(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False


async def remove_exchanges(url: str, namespace: str) -> None:
    """Take away what transporters leave on an AMQP broker for ever; nothing is left on others."""
    if not url.startswith("amqp"):
        return
    connection = await aiormq.connect(url)
    channel = await connection.channel()
    for command in ("DISCOVER", "INFO", "HEARTBEAT", "PING", "DISCONNECT"):
        await channel.exchange_delete(f"MOL-{namespace}.{command}")
    await connection.close()
