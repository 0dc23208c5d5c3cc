"""Servers of a test's own: Redis, NATS with JetStream, RabbitMQ, MongoDB, each a process on a free port of the machine.

A test may stop, kill and pause them as it likes, which it must never do to a server that others use. They keep their
data in a folder of the test's, on the same port, so that they go on where they were when started again:

    with running(NatsServer(tmp_path)) as server:
        server.kill()
        server.start()
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

from fireside.testing.cluster import free_port
from fireside.testing.orphans import guard, release
from tests.needs import need, need_program

_PATIENCE_S = 90.0


class OwnServer:
    """A server process, with all the processes that it starts itself.

    Attributes:
        folder: Where its data and its log are.
        port: Where it listens on 127.0.0.1; the same after each start.
    """

    program: str
    scheme: str

    def __init__(self, folder: Path) -> None:
        self.folder = folder / self.program
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"{self.scheme}://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The process that was started, and the group of all that it starts."""
        assert self._process is not None, "it does not run"
        return self._process.pid

    def start(self) -> None:
        """Start, and wait until it answers. Does nothing when it runs."""
        if self._process is not None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                self.command(),
                cwd=self.folder,
                env=os.environ | self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        guard(self._process.pid)
        deadline = time.monotonic() + _PATIENCE_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise ChildProcessError(f"{self.program} did not start: {self.log[-2000:]}")
            time.sleep(0.02)

    def stop(self) -> None:
        """Have it end in order."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a crash would: SIGKILL to it and all that it started."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Stop it in the middle of whatever it does: connections stay, nothing is answered."""
        os.killpg(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Have it go on after a pause."""
        os.killpg(self.pid, signal.SIGCONT)

    def settle(self) -> None:
        """Wait until a kill can no longer undo what was set up; most servers are as far when they answer."""

    @property
    def log(self) -> str:
        """What it printed since it was started for the first time."""
        return (self.folder / "server.log").read_text(errors="replace")

    def command(self) -> list[str]:
        """How it is started."""
        raise AssertionError("each server says how it is started")

    def environment(self) -> dict[str, str]:
        """What its environment has beyond that of the tests."""
        return {}

    def answers(self, connection: socket.socket) -> bool:
        """Whether the server at the other end of the connection is ready."""
        raise AssertionError("each server says when it is ready")

    def _answers(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
            return self.answers(connection)
        return False

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGCONT)
            os.killpg(process.pid, how)
        try:
            process.wait(40)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)
        self._await_end_of_group(process.pid)
        release(process.pid)

    def _await_end_of_group(self, group: int) -> None:
        """Kill what it started and wait for that too: it may outlive it while it syncs a file, and holds its ports."""
        deadline = time.monotonic() + _PATIENCE_S
        while _runs(group):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.program}: processes of the group {group} do not end")
            time.sleep(0.005)


def _runs(group: int) -> bool:
    """Kill a group, and tell whether a process of it still runs; one that ended and waits for its parent does not."""
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return any(_runs_in(stat, group) for stat in Path("/proc").glob("[0-9]*/stat"))


def _runs_in(stat: Path, group: int) -> bool:
    try:
        # the name of the program, which may hold anything, stands in brackets
        state, _parent, its_group, *_ = stat.read_text().rpartition(")")[2].split()
    except OSError:  # it ended meanwhile
        return False
    return int(its_group) == group and state not in "ZX"


class RedisServer(OwnServer):
    """Redis that syncs every write before it answers, unless told otherwise."""

    program, scheme = "redis-server", "redis"

    def __init__(self, folder: Path, *, sync: str = "always") -> None:
        super().__init__(folder)
        self._sync = sync

    def command(self) -> list[str]:
        durable = ["--appendonly", "yes", "--appendfsync", self._sync, "--save", ""]
        place = ["--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self.folder)]
        return [need_program(self.program), *place, *durable]

    def answers(self, connection: socket.socket) -> bool:
        connection.sendall(b"PING\r\n")
        return connection.recv(64).startswith(b"+PONG")


class NatsServer(OwnServer):
    """NATS with JetStream.

    Args:
        program: Another than the first in the path.
        sync: How often it syncs what it stores; its default when empty, and since 2.10 `always`, too.
    """

    program, scheme = "nats-server", "nats"

    def __init__(self, folder: Path, *, program: str = "", sync: str = "") -> None:
        super().__init__(folder)
        self._program, self._sync = program, sync

    def command(self) -> list[str]:
        config = self.folder / "nats.conf"
        sync = f", sync_interval: {self._sync}" if self._sync else ""
        config.write_text(f'jetstream {{ store_dir: "{self.folder / "jetstream"}"{sync} }}\n')
        return [self._program or need_program(self.program), "-a", "127.0.0.1", "-p", str(self.port), "-c", str(config)]

    def answers(self, connection: socket.socket) -> bool:
        return b'"jetstream":true' in connection.recv(4096)


class MongoServer(OwnServer):
    """SecantusDB, a server that speaks MongoDB's protocol, which syncs every commit."""

    program, scheme = "secantus", "mongodb"

    def __init__(self, folder: Path, *options: str) -> None:
        super().__init__(folder)
        self._options = options

    def command(self) -> list[str]:
        need(find_spec(self.program) is not None, "the package SecantusDB, a server that speaks MongoDB")
        place = ["--port", str(self.port), "--storage-path", str(self.folder / "data")]
        limits = ["--cache-size", "64M", "--log-level", "ERROR", "--sync-on-commit"]
        return [sys.executable, "-m", self.program, *place, *limits, *self._options]

    def answers(self, connection: socket.socket) -> bool:
        return connection.fileno() >= 0


class RabbitServer(OwnServer):
    """A RabbitMQ node of its own; it takes some seconds to start, so share one where that does no harm."""

    program, scheme = "rabbitmq-server", "amqp"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._peer_port = free_port()

    def command(self) -> list[str]:
        # Debian's command in the path changes the user; the program itself does not
        packaged = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
        program = str(packaged) if packaged.is_file() else shutil.which(self.program)
        need(program is not None, f"the program {self.program}")
        return [str(program)]

    def environment(self) -> dict[str, str]:
        plugins = self.folder / "enabled_plugins"
        plugins.write_text("[].\n")
        return {
            "HOME": str(self.folder),
            "RABBITMQ_NODENAME": f"fireside{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self._peer_port),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "data"),
            "RABBITMQ_LOG_BASE": str(self.folder),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(plugins),
            "RABBITMQ_PID_FILE": str(self.folder / "pid"),
            "RABBITMQ_CONF_ENV_FILE": str(self.folder / "none"),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "none"),
        }

    def settle(self) -> None:
        """Wait until all quorum queues are in the file that RabbitMQ 3.10 writes only every few seconds.

        A node that is killed before forgets how the data of a queue belongs to it, and the queue is stuck for good.
        """
        quorum = self.folder / "data" / f"fireside{self.port}@localhost" / "quorum" / f"fireside{self.port}@localhost"
        deadline = time.monotonic() + _PATIENCE_S
        while not all(uid.name.encode() in (quorum / "names.dets").read_bytes() for uid in quorum.glob("2F_*")):
            if time.monotonic() > deadline:
                raise TimeoutError("RabbitMQ does not write down its queues")
            time.sleep(0.05)

    def answers(self, connection: socket.socket) -> bool:
        connection.sendall(b"AMQP\x00\x00\x09\x01")
        return connection.recv(1) == b"\x01"


ServerT = TypeVar("ServerT", bound=OwnServer)


@contextmanager
def running(server: ServerT) -> Generator[ServerT]:
    """The server, running inside the context and gone after it."""
    server.start()
    try:
        yield server
    finally:
        server.kill()
