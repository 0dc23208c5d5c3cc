"""The embedded engine: llama.cpp in a process of its own, watched, and started again when it crashes or hangs."""

import asyncio
import contextlib
import json
import os
import secrets
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import aiohttp

from fireside.core.errors import UnavailableError
from fireside.core.tasks import end
from fireside.ports.model_engine import EngineAddress, EngineState, EngineStatus

_LOG_LINES = 20
_ENDING_S = 10.0
"""In this time a process has ended by itself, or was killed."""
_PROGRAM = ("-m", "fireside.adapters.model_engine.llama_process")


@dataclass(frozen=True, slots=True)
class LlamaOptions:
    """How one model is run.

    Attributes:
        model_path: A GGUF file.
        model_name: The name it answers to.
        context_tokens: The window, shared by the requests that run at once.
        parallel: How many requests are batched together.
        threads: Processor threads for generation and for prompts.
        prompt_cache_mib: Memory for prompts that are likely to come again.
        kind: What it was made for; the server offers that alone.
    """

    model_path: Path
    model_name: str
    context_tokens: int = 6144
    parallel: int = 4
    threads: int = 2
    prompt_cache_mib: int = 64
    kind: Literal["chat", "embedding", "rerank"] = "chat"


@dataclass(frozen=True, slots=True)
class Watch:
    """When the engine counts as crashed or hung, and how it is started again."""

    load_timeout_s: float = 120.0
    health_interval_s: float = 5.0
    health_timeout_s: float = 10.0
    misses_until_restart: int = 3
    first_pause_s: float = 0.2
    longest_pause_s: float = 30.0
    crashes_until_failed: int = 8


class SupervisedLlama:
    """Runs one model; every restart chooses a new port, while the key stays."""

    def __init__(self, options: LlamaOptions, *, watch: Watch | None = None) -> None:
        """Prepare, without starting anything."""
        self._options = options
        self._watch = watch or Watch()
        self._on_ready: Callable[[], None] = lambda: None
        self._api_key = secrets.token_urlsafe(24)
        self._ready = asyncio.Event()
        self._base_url = ""
        self._state: EngineState = "stopped"
        self._detail = ""
        self._restarts = 0
        self._process: asyncio.subprocess.Process | None = None
        self._supervision: asyncio.Task[None] | None = None
        self._log: deque[str] = deque(maxlen=_LOG_LINES)

    @property
    def status(self) -> EngineStatus:
        """The present state, without waiting."""
        pid = self._process.pid if self._process else None
        return EngineStatus(state=self._state, detail=self._detail, restarts=self._restarts, pid=pid)

    async def start(self, on_ready: Callable[[], None] = lambda: None) -> None:
        """Begin loading; returns at once, and calls `on_ready` each time that it has become ready."""
        self._on_ready = on_ready
        if self._supervision is None:
            self._state = "loading"
            self._supervision = asyncio.create_task(self._supervise(), name="engine-supervision")

    async def address(self, *, timeout_s: float) -> EngineAddress:
        """Where to send requests, waiting while it loads."""
        if self._state in {"stopped", "failed"}:
            raise UnavailableError(f"the model engine is {self._state}: {self._detail or 'not started'}")
        try:
            async with asyncio.timeout(timeout_s):
                await self._ready.wait()
        except TimeoutError as error:
            raise UnavailableError(f"the model {self._options.model_name} is still loading") from error
        if self._state != "ready":
            raise UnavailableError(f"the model engine is {self._state}: {self._detail}")
        return EngineAddress(base_url=self._base_url, api_key=self._api_key)

    async def stop(self) -> None:
        """End the process, wholly also when whoever waits for it leaves meanwhile; that one is cancelled after it."""
        ending = asyncio.create_task(self._stop())
        try:
            await asyncio.shield(ending)
        finally:
            await asyncio.wait({ending})

    async def _stop(self) -> None:
        await end(self._supervision, within_s=_ENDING_S)
        self._supervision = None
        self._ready.clear()
        self._state = "stopped"

    async def _supervise(self) -> None:
        crashes = 0
        while crashes < self._watch.crashes_until_failed:
            served = await self._run_once()
            crashes = 1 if served else crashes + 1
            self._restarts += 1
            self._state, self._detail = "loading", f"restarting after: {self._last_words()}"
            pause_s = self._watch.first_pause_s * 2 ** (crashes - 1)
            await asyncio.sleep(min(pause_s, self._watch.longest_pause_s))
        self._state, self._detail = "failed", f"gave up after {crashes} crashes: {self._last_words()}"
        self._ready.set()  # whoever waits for the address learns of the failure below
        self._ready.clear()

    async def _run_once(self) -> bool:
        """Run the process until it ends or hangs; tells whether it had become ready."""
        self._process = process = await asyncio.create_subprocess_exec(
            sys.executable,
            *_PROGRAM,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
        )
        reading_log = asyncio.create_task(self._read_log(process))
        try:
            if not await self._wait_until_ready(process):
                return False
            await self._wait_until_broken(process)
            return True
        finally:
            self._ready.clear()
            await _end(process)
            await reading_log
            self._process = None

    async def _wait_until_ready(self, process: asyncio.subprocess.Process) -> bool:
        assert process.stdin is not None  # noqa: S101 - a pipe was asked for; narrows the type
        assert process.stdout is not None  # noqa: S101 - likewise
        options = asdict(self._options) | {"model_path": str(self._options.model_path), "api_key": self._api_key}
        with contextlib.suppress(ConnectionError):
            process.stdin.write(json.dumps(options).encode() + b"\n")
            await process.stdin.drain()
        try:
            async with asyncio.timeout(self._watch.load_timeout_s):
                line = await process.stdout.readline()
        except TimeoutError:
            self._log.append(f"not ready within {self._watch.load_timeout_s:.0f} s")
            return False
        if not line:
            return False
        self._base_url = json.loads(line)["base_url"]
        self._state, self._detail = "ready", ""
        self._ready.set()
        self._on_ready()
        return True

    async def _wait_until_broken(self, process: asyncio.subprocess.Process) -> None:
        misses = 0
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=self._watch.health_timeout_s)) as session:
            while misses < self._watch.misses_until_restart:
                try:
                    async with asyncio.timeout(self._watch.health_interval_s):
                        await process.wait()
                except TimeoutError:
                    misses = 0 if await self._is_healthy(session) else misses + 1
                else:
                    return
        self._log.append("the engine no longer answers health checks")

    async def _is_healthy(self, session: aiohttp.ClientSession) -> bool:
        try:
            async with session.get(self._base_url + "/health") as response:
                return response.status == 200
        except (aiohttp.ClientError, TimeoutError):
            return False

    async def _read_log(self, process: asyncio.subprocess.Process) -> None:
        assert process.stderr is not None  # noqa: S101 - a pipe was asked for; narrows the type
        async for line in process.stderr:
            self._log.append(line.decode(errors="replace").strip())

    def _last_words(self) -> str:
        return next((line for line in reversed(self._log) if line), "the process ended without a word")


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.stdin is not None:
        process.stdin.close()
    try:
        async with asyncio.timeout(2.0):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
