"""Nodes and servers for tests end with the program that started them, however that ends."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.needs import need_program

_PROGRAM = """
import pathlib, sys, time
from fireside.testing.cluster import running_cluster

with running_cluster(pathlib.Path(sys.argv[1]), {"thinker": ["think"]}, environment={}) as cluster:
    print(cluster.nodes["thinker"].pid, flush=True)
    time.sleep(600)
"""
_SERVER_PROGRAM = """
import pathlib, sys, threading, time
from tests.servers import RedisServer

server = RedisServer(pathlib.Path(sys.argv[1]))
thread = threading.Thread(target=server.start)
thread.start()
thread.join()
server.pause()
print(server.pid, flush=True)
time.sleep(600)
"""
_PATIENCE_S = 60.0


def is_alive(pid: int) -> bool:
    """Whether the process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks into /proc")
@pytest.mark.parametrize("source", [pytest.param(_PROGRAM, id="node"), pytest.param(_SERVER_PROGRAM, id="server")])
def test_nothing_outlives_a_test_run_that_was_killed(tmp_path: Path, source: str) -> None:
    need_program("redis-server")
    command = [sys.executable, "-c", source, str(tmp_path / "home")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        pid = int(program.stdout.readline())
        assert is_alive(pid)

        os.kill(program.pid, signal.SIGKILL)

    deadline = time.monotonic() + _PATIENCE_S
    while is_alive(pid):
        assert time.monotonic() < deadline, "it is still there"
        time.sleep(0.05)
