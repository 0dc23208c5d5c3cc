"""A cluster of Fireside as processes of this machine: each node can be killed, paused and started anew by itself.

Brokers and databases are none of its business: the environment says where they are.
"""

import contextlib
import os
import random
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_PATIENCE_S = 120.0
_SERVER_PORTS = (15_000, 32_000)
_KEEPER = "read -r _; kill -KILL 0"


@dataclass(frozen=True)
class Place:
    """Where a node runs, if not simply here.

    Attributes:
        command: What stands before a command that shall run there, such as `ip netns exec NAME`.
        host: Its address, seen from here.
    """

    command: tuple[str, ...] = ()
    host: str = "127.0.0.1"


class ClusterNode:
    """One node: the same name, services and port whenever it is started; what it prints is in `<home>/<name>.log`.

    Attributes:
        name: Its id in the cluster.
        url: Where it answers: the API when it hosts the gateway, its health in any case.
    """

    def __init__(
        self, name: str, services: Sequence[str], *, home: Path, environment: Mapping[str, str], place: Place
    ) -> None:
        """Describe a node; nothing is started yet."""
        self.name = name
        self.port = free_port()
        self.url = f"http://{place.host}:{self.port}"
        up = ["up", "--only", ",".join(services), "--host", place.host, "--port", str(self.port)]
        self._command = [*place.command, sys.executable, "-m", "fireside", "--data", str(home), *up]
        self._environment = {**environment, "FIRESIDE_NODE_ID": name}
        self._log = home / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id of the node that runs."""
        return self._running().pid

    @property
    def log(self) -> str:
        """What it printed since it was started for the first time."""
        return self._log.read_text(errors="replace")

    def begin(self, group: int) -> None:
        """Start, without waiting.

        Args:
            group: The process group that it shall belong to.
        """
        clean = {name: value for name, value in os.environ.items() if not name.startswith("FIRESIDE_")}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - this very program
                self._command,
                env=clean | self._environment,
                cwd=self._log.parent,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=group,
            )

    def wait_ready(self) -> None:
        """Wait until it serves.

        Raises:
            TimeoutError: It was not ready in time.
            ChildProcessError: It ended.
        """
        deadline = time.monotonic() + _PATIENCE_S
        while not self._is_ready():
            if self._process is None or self._process.poll() is not None:
                raise ChildProcessError(f"{self.name} ended: {self.log[-2000:]}")
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.name} is not ready: {self.log[-2000:]}")
            time.sleep(0.05)

    def kill(self) -> None:
        """End it as a crash would: SIGKILL."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Have it finish what it is working on, and end."""
        self._end(signal.SIGTERM)

    def pause(self) -> None:
        """Stop it in the middle of whatever it does: connections stay, nothing is answered."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Have it go on after a pause."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        self._running().send_signal(number)

    def _running(self) -> "subprocess.Popen[bytes]":
        assert self._process is not None, f"{self.name} does not run"  # noqa: S101 - a mistake of the test
        return self._process

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGCONT)
        process.send_signal(how)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/health/ready", timeout=5):  # noqa: S310 - http
                return True
        except urllib.error.HTTPError as refusal:
            refusal.close()
            return False
        except OSError:
            return False


class FiresideCluster:
    """Nodes that share a data folder and a cluster key; none of them outlives this process, however it ends.

    Attributes:
        home: The data folder.
        nodes: By name.
    """

    def __init__(
        self,
        home: Path,
        nodes: Mapping[str, Sequence[str]],
        *,
        environment: Mapping[str, str],
        own: Mapping[str, Mapping[str, str]] | None = None,
        places: Mapping[str, Place] | None = None,
    ) -> None:
        """Describe a cluster; nothing is started yet.

        Args:
            home: The data folder.
            nodes: The services of each node, by its name.
            environment: Settings of all nodes; those of this process do not reach them.
            own: Further settings of single nodes, by name.
            places: Where single nodes run, by name; the others run here.
        """
        self.home = home
        shared, own = {"FIRESIDE_CLUSTER_KEY": secrets.token_urlsafe(32), **environment}, own or {}
        places = places or {}
        self.nodes = {
            name: ClusterNode(
                name,
                services,
                home=home,
                environment={**shared, **own.get(name, {})},
                place=places.get(name, Place()),
            )
            for name, services in nodes.items()
        }
        self._keeper: subprocess.Popen[bytes] | None = None

    @property
    def key(self) -> str:
        """The administrator's key for the command line on this machine."""
        return (self.home / "cli.key").read_text().strip()

    def start(self) -> None:
        """Start all nodes and wait until they are ready; the first makes the secrets that the others read."""
        self.home.mkdir(parents=True, exist_ok=True)
        # The keeper sees the end of this process, whatever ends it, as the end of its input; then it ends its group.
        keeper = ["/bin/sh", "-c", _KEEPER]
        self._keeper = subprocess.Popen(keeper, stdin=subprocess.PIPE, process_group=0)  # noqa: S603 - a fixed command
        first, *others = self.nodes
        self.begin([first])
        self.wait_ready([first])
        self.begin(others)
        self.wait_ready(others)

    def begin(self, names: Iterable[str]) -> None:
        """Start these nodes, without waiting."""
        assert self._keeper is not None, "the cluster was not started"  # noqa: S101 - a mistake of the test
        for name in names:
            self.nodes[name].begin(self._keeper.pid)

    def wait_ready(self, names: Iterable[str]) -> None:
        """Wait until these nodes serve. Raises as `ClusterNode.wait_ready` does."""
        for name in names:
            self.nodes[name].wait_ready()

    def restart(self, name: str) -> None:
        """Start a node anew, after it finished what it was working on if it still runs."""
        self.nodes[name].stop()
        self.begin([name])
        self.wait_ready([name])

    def stop(self) -> None:
        """End every node in order, the last one first."""
        for node in reversed(self.nodes.values()):
            node.stop()
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            keeper.communicate()


@contextlib.contextmanager
def running_cluster(
    home: Path,
    nodes: Mapping[str, Sequence[str]],
    *,
    environment: Mapping[str, str],
    own: Mapping[str, Mapping[str, str]] | None = None,
    places: Mapping[str, Place] | None = None,
) -> Generator[FiresideCluster]:
    """A cluster that runs inside the context. See `FiresideCluster`."""
    cluster = FiresideCluster(home, nodes, environment=environment, own=own, places=places)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


def free_port(*further: int) -> int:
    """A port of this machine for a server on 127.0.0.1, given to nobody else while this process lives.

    It stays free while its server is away: it is below the ports that systems give to outgoing connections.

    Args:
        further: How far above it other ports lie that its server takes too.
    """
    first, end = _SERVER_PORTS
    while True:
        port = random.randrange(first, end - max(further, default=0))  # noqa: S311 - no secret hangs on it
        if all(_claim(port + distance) for distance in (0, *further)):
            return port


def _claim(port: int) -> bool:
    """Whether nobody listens on it or has claimed it. A claim is the UDP port of that number, held open to the end."""
    with socket.socket() as probe, socket.socket(type=socket.SOCK_DGRAM) as claim:
        try:
            probe.bind(("127.0.0.1", port))
            claim.bind(("127.0.0.1", port))
        except OSError:
            return False
        claim.detach()
    return True
