"""Drives `broker.js`: brokers of the real Moleculer in a process of Node.js."""

import asyncio
import fcntl
import hashlib
import itertools
import json
import os
import queue
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.needs import need, need_program

HERE = Path(__file__).parent
ANSWER_S = 60.0


class JsError(Exception):
    """What an operation of the Node program failed with, as Moleculer's error says it."""

    def __init__(self, told: dict[str, Any]) -> None:
        super().__init__(str(told))
        self.told = told


def node_modules() -> Path:
    """The packages of `package.json`, installed once for each of its versions."""
    wanted = (HERE / "package.json").read_bytes()
    folder = Path(tempfile.gettempdir(), f"fireside-interop-{hashlib.sha256(wanted).hexdigest()[:12]}-{os.getuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            _install(folder)
            (folder / "complete").touch()
    return folder / "node_modules"


def _install(folder: Path) -> None:
    npm = need_program("npm")
    shutil.copy(HERE / "package.json", folder)
    quiet = ["--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts", "--loglevel=error"]
    done = subprocess.run([npm, "install", *quiet], cwd=folder, capture_output=True, text=True, timeout=170)
    need(done.returncode == 0, f"the packages of tests/interop/package.json ({done.stderr[-300:]})")


class NodeProgram:
    """A running `broker.js`."""

    def __init__(self, module: str, url: str, namespace: str) -> None:
        self._process = subprocess.Popen(
            [need_program("node"), str(HERE / "broker.js"), module, url, namespace],
            env=os.environ | {"NODE_PATH": str(node_modules())},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        self._ids = itertools.count()
        self._answers: dict[int, queue.Queue[dict[str, Any]]] = {}
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    async def do(self, op: str, **arguments: Any) -> Any:
        """Do something; its result."""
        return await asyncio.to_thread(self.do_now, op, **arguments)

    def do_now(self, op: str, **arguments: Any) -> Any:
        """Do something and wait for it in this thread."""
        number = next(self._ids)
        answer = self._answers[number] = queue.Queue()
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"id": number, "op": op, **arguments}) + "\n")
        self._process.stdin.flush()
        told = answer.get(timeout=ANSWER_S)
        if "error" in told:
            raise JsError(told["error"])
        return told["result"]

    @contextmanager
    def held(self) -> Iterator[None]:
        """Have it hold still; what is sent to it meanwhile reaches it in one go."""
        self._process.send_signal(signal.SIGSTOP)
        yield
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it without a farewell."""
        self._process.kill()
        self.close()

    def close(self) -> None:
        """End it; the operating system closes its connections."""
        if self._process.stdin is not None and not self._process.stdin.closed:
            self._process.stdin.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            told = json.loads(line)
            self._answers.pop(told["id"]).put(told)
        for answer in tuple(self._answers.values()):
            answer.put({"error": {"message": "the Node program has ended"}})
