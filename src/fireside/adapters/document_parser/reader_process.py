"""One process that reads files, seen from the server: start it, hand it a file, end it."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from fireside.adapters.document_parser.frames import LENGTH, READY, decode_result, encode_request, frame
from fireside.ports.document_parser import ParsedDocument, ParseLimits, ParserUnavailableError

WORKER_COMMAND = (sys.executable, "-m", "fireside.adapters.document_parser.worker")
_START_SECONDS = 60.0
_KEPT_VARIABLES = ("PATH", "PYTHONPATH", "LANG", "LC_ALL", "SYSTEMROOT", "TMPDIR")
"""Readers get no other environment variables: those hold secrets."""


class ReaderDiedError(Exception):
    """The process ended before it answered; the text says how."""


class ReaderProcess:
    """A running reader. It serves one file at a time.

    Attributes:
        files_read: How many files it has answered for.
    """

    def __init__(self, process: Process) -> None:
        self._process = process
        self.files_read = 0

    @classmethod
    async def start(cls, command: Sequence[str] = WORKER_COMMAND) -> "ReaderProcess":
        """Start a reader and wait until it is ready.

        Raises:
            ParserUnavailableError: It did not start.
        """
        environment = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
        try:
            process = await asyncio.create_subprocess_exec(
                *command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, env=environment
            )
        except OSError as error:
            raise ParserUnavailableError(f"the reader of files cannot be started: {error}") from error
        reader = cls(process)
        try:
            async with asyncio.timeout(_START_SECONDS):
                if await reader._receive() == READY:
                    return reader
            reason = "it answered wrongly"
        except TimeoutError:
            reason = f"it was not ready after {_START_SECONDS:g} s"
        except ReaderDiedError as death:
            reason = str(death)
        except asyncio.CancelledError:
            await reader.end()
            raise
        await reader.end()
        raise ParserUnavailableError(f"the reader of files did not start: {reason}")

    @property
    def is_running(self) -> bool:
        """Whether the process still lives, as far as is known."""
        return self._process.returncode is None

    async def read(self, content: bytes | Path, *, media_type: str, limits: ParseLimits) -> ParsedDocument:
        """Have one file read. After anything but a result or an error of the file, `end` the reader.

        Raises:
            FiresideError: What is wrong with the file.
            ReaderDiedError: The process ended.
            TimeoutError: It took longer than the limits allow.
        """
        path = str(content) if isinstance(content, Path) else None
        request = frame(encode_request(media_type=media_type, limits=limits, path=path))
        async with asyncio.timeout(limits.seconds):
            await self._send(request if path else request + frame(bytes(content)))
            reply = await self._receive()
        self.files_read += 1
        return decode_result(reply)

    async def end(self) -> None:
        """Kill the process and wait for its end. Safe to call twice."""
        with suppress(ProcessLookupError):
            self._process.kill()
        if self._process.stdin is not None:
            self._process.stdin.close()
        await self._process.wait()

    async def _send(self, data: bytes) -> None:
        stdin = self._process.stdin
        if stdin is None:
            raise ReaderDiedError("it has no input")
        try:
            stdin.write(data)
            await stdin.drain()
        except (BrokenPipeError, ConnectionResetError):
            raise ReaderDiedError(await self._cause()) from None

    async def _receive(self) -> bytes:
        stdout = self._process.stdout
        if stdout is None:
            raise ReaderDiedError("it has no output")
        try:
            (length,) = LENGTH.unpack(await stdout.readexactly(LENGTH.size))
            return await stdout.readexactly(length)
        except asyncio.IncompleteReadError:
            raise ReaderDiedError(await self._cause()) from None

    async def _cause(self) -> str:
        code = await self._process.wait()
        return f"it was ended by {signal.Signals(-code).name}" if code < 0 else f"it ended with code {code}"
