"""MongoDB for tests: a server of this run's own that speaks its protocol; tests are skipped where there is none."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from time import monotonic, sleep
from uuid import uuid4

import pytest

from fireside.testing.cluster import free_port
from tests.needs import need


def need_mongodb() -> None:
    """Go on where the server can be started."""
    need(present=find_spec("secantus") is not None, what="the package SecantusDB, a server that speaks MongoDB")


@contextmanager
def mongodb_process(folder: Path, port: int, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """A running server on a folder; a later one there finds what this one stored."""
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "secantus", "--port", str(port), "--storage-path", str(folder)]
    command += ["--cache-size", "64M", "--log-level", "ERROR", "--sync-on-commit", *options]
    with (folder.parent / "mongodb.log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        _wait_for(port, process)
        yield process
    finally:
        process.kill()
        process.wait()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = monotonic() + 30
    while process.poll() is None and monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            sleep(0.02)
        else:
            return
    raise RuntimeError("the MongoDB server of the tests did not start")


@pytest.fixture(scope="session")
def mongodb_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a server without a database's name."""
    need_mongodb()
    folder = tmp_path_factory.mktemp("mongodb") / "data"
    port = free_port()
    with mongodb_process(folder, port):
        yield f"mongodb://127.0.0.1:{port}"


@pytest.fixture
def mongodb_url(mongodb_server: str) -> str:
    """An empty database."""
    return f"{mongodb_server}/fireside_{uuid4().hex}"
