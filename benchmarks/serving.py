"""Real servers to measure: Fireside itself in a process of its own, and a mock upstream beside it."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fireside.testing.process import FiresideProcess

SERVER_CORE, CLIENT_CORE = 0, 1
NO_LIMIT = "1000000/minute"
_PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True)
class Target:
    """A server to measure: where it is, what its clients send, and its process."""

    url: str
    headers: Mapping[str, str]
    pid: int


def pin(core: int) -> None:
    """Keep this process on one core, where there is more than one."""
    if (os.cpu_count() or 1) > 1:
        os.sched_setaffinity(0, {core})


@contextmanager
def fireside(environment: Mapping[str, str] | None = None, *, pinned: bool = False) -> Iterator[FiresideProcess]:
    """A Fireside with an empty data folder, ready to serve."""
    with tempfile.TemporaryDirectory(prefix="fireside-bench-") as folder:
        house = FiresideProcess(Path(folder), environment)
        house.start(prepare=(lambda: pin(SERVER_CORE)) if pinned else None)
        try:
            yield house
        finally:
            house.stop()


def headers_of(house: FiresideProcess) -> dict[str, str]:
    """What a client sends."""
    return {"authorization": f"Bearer {house.key}", "content-type": "application/json"}


@contextmanager
def scripted_server(*, pause_ms: float = 0.0) -> Iterator[str]:
    """A server of a scripted model; yields its URL."""
    with _beside("fireside.testing.scripted_model", ["--pause-ms", str(pause_ms)]) as target:
        yield target.url


@contextmanager
def mock_upstream(*, pause_ms: float = 0.0) -> Generator[Target]:
    """A model's server that costs next to nothing, on the core of the clients."""
    with _beside("benchmarks.mock_upstream", ["--pause-ms", str(pause_ms)]) as target:
        yield target


@contextmanager
def _beside(module: str, options: Sequence[str]) -> Generator[Target]:
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", module, "--port", str(port), *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: pin(CLIENT_CORE),
    )
    try:
        url = f"http://127.0.0.1:{port}"
        wait_for(url + "/v1/models")
        yield Target(url, {"content-type": "application/json"}, process.pid)
    finally:
        process.terminate()
        process.wait(10)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def wait_for(url: str) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.02)
    raise SystemExit(f"{url} does not answer")


def with_server(url: str, *, style: str = "write") -> dict[str, str]:
    """The environment of a Fireside whose only model is the scripted one at a URL."""
    servers = [{"url": url, "models": ["scripted"], "answer_style": style}]
    return {
        "FIRESIDE_INFERENCE_ENGINE": "off",
        "FIRESIDE_INFERENCE_SERVERS": json.dumps(servers),
        "FIRESIDE_GATEWAY_USER_RATE": NO_LIMIT,
        "FIRESIDE_GATEWAY_CREDENTIAL_RATE": NO_LIMIT,
    }


def cpu_s(pid: int) -> float:
    """Processor time that a process and all its children have taken, in seconds."""
    ticks = 0
    for each in _family(pid):
        fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def memory_mb(pid: int) -> float:
    """Memory of a process and all its children that no other process shares, plus its part of what is shared, in MB."""
    total = 0
    for each in _family(pid):
        with open(f"/proc/{each}/smaps_rollup") as rollup:
            total += sum(int(line.split()[1]) for line in rollup if line.startswith("Pss:"))
    return total * 1024 / 1e6


def _family(pid: int) -> list[int]:
    found = [pid]
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += _family(int(child))
    return found
