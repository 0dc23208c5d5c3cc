"""Fireside as a process of its own, started, killed and started again on one data folder."""

import contextlib
import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any

from fireside.testing.orphans import guard, release

_PATIENCE_S = 120.0
_READY = re.compile(r"Fireside is ready: (http://[^/\s]+).*\n")


class FiresideProcess:
    """A server on any free port; what it prints is in `<home>/<name>.log`.

    Attributes:
        home: Its data folder.
        url: Where it answers.
        started_s: How long it took from its start until it was ready, in seconds.
    """

    def __init__(
        self, home: Path, environment: Mapping[str, str] | None = None, *, only: str = "", name: str = "server"
    ) -> None:
        """Describe a server; nothing is started yet.

        Args:
            home: Its data folder.
            environment: Settings; those of this process do not reach it.
            only: The services it hosts, `documents,vectors`; all when empty.
            name: Tells it from others with the same data folder.
        """
        self.home = home
        self._log = home / f"{name}.log"
        self._options = ["--only", only] if only else []
        self.url = ""
        self.started_s = 0.0
        self._environment = dict(environment or {})
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id of the server that runs."""
        assert self._process is not None, "not started"  # noqa: S101 - a mistake of the test
        return self._process.pid

    @property
    def key(self) -> str:
        """The administrator's key for the command line on this machine."""
        return (self.home / "cli.key").read_text().strip()

    @property
    def log(self) -> str:
        """What it printed since it was started for the first time."""
        return self._log.read_text()

    def start(self, *, prepare: Callable[[], None] | None = None) -> None:
        """Start, and wait until it is ready.

        Args:
            prepare: Called in the new process before the server's own program begins.

        Raises:
            TimeoutError: It was not ready in time.
            ChildProcessError: It ended.
        """
        began = time.perf_counter()
        self.home.mkdir(parents=True, exist_ok=True)
        self._log.touch()
        said_before = len(self.log)
        clean = {name: value for name, value in os.environ.items() if not name.startswith("FIRESIDE_")}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - this very program
                [sys.executable, "-m", "fireside", "--data", str(self.home), "up", "--port", "0", *self._options],
                env=clean | self._environment,
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=prepare,
            )
        guard(self._process.pid)
        self._wait(lambda: _READY.search(self.log, said_before) is not None)
        ready = _READY.search(self.log, said_before)
        self.url = ready[1] if ready else ""
        self._wait(self._is_ready)
        self.started_s = time.perf_counter() - began

    def kill(self) -> None:
        """End it as a crash would: SIGKILL."""
        self._end(lambda process: process.kill())

    def stop(self) -> None:
        """Have it end in order."""
        self._end(lambda process: process.terminate())

    def call(self, method: str, path: str, body: Any = None, *, key: str | None = None) -> Any:
        """Call the public API with JSON; None for an empty reply.

        Args:
            method: Upper case.
            path: With its query.
            body: Sent as JSON unless None.
            key: Whose call it is; the administrator's when None.

        Raises:
            urllib.error.HTTPError: The server refused.
        """
        data = None if body is None else json.dumps(body).encode()
        headers = {"authorization": f"Bearer {key or self.key}", "content-type": "application/json"}
        request = urllib.request.Request(self.url + path, data=data, headers=headers, method=method)  # noqa: S310 - http
        with urllib.request.urlopen(request, timeout=120) as reply:  # noqa: S310 - likewise
            content = reply.read()
            return json.loads(content) if content else None

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(self.url + "/health/ready", timeout=5):  # noqa: S310 - http
                return True
        except urllib.error.HTTPError as refusal:
            refusal.close()
            return False
        except (urllib.error.URLError, ConnectionError):
            return False

    def _wait(self, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _PATIENCE_S
        while not holds():
            if self._process is None or self._process.poll() is not None:
                raise ChildProcessError(f"the server ended: {self.log[-2000:]}")
            if time.monotonic() > deadline:
                raise TimeoutError(f"the server is not ready: {self.log[-2000:]}")
            time.sleep(0.02)

    def _end(self, tell: Callable[["subprocess.Popen[bytes]"], None]) -> None:
        if self._process is None:
            return
        tell(self._process)
        try:
            self._process.wait(40)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
        release(self._process.pid)
        self._process = None


@contextlib.contextmanager
def running(home: Path, environment: Mapping[str, str] | None = None) -> Generator[FiresideProcess]:
    """A server that runs inside the context."""
    server = FiresideProcess(home, environment)
    server.start()
    try:
        yield server
    finally:
        server.stop()
