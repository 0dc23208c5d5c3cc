"""Reads every file in another process, which may be killed: the adapter that the server uses."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from fireside.adapters.document_parser.media_types import media_type_of
from fireside.adapters.document_parser.reader_process import WORKER_COMMAND, ReaderDiedError, ReaderProcess
from fireside.core.errors import FiresideError
from fireside.ports.document_parser import DocumentTooComplexError, ParsedDocument, ParseLimits

_FILES_PER_READER = 500
_LARGE_BYTES = 8 * 1024**2
"""A reader that read more keeps memory which the next files do not need; it is replaced."""


class IsolatedDocumentParser:
    """Hands files to reader processes and keeps those ready for a while.

    A file that is hostile, endless or huge costs its reader process, never the server; the next file gets a new one.
    """

    def __init__(self, *, readers: int = 2, idle_s: float = 30.0, command: Sequence[str] = WORKER_COMMAND) -> None:
        """Prepare; processes start when the first file comes.

        Args:
            readers: Most files read at the same time; two, so that a slow one does not hold up the others.
            idle_s: Readers without work end after this long, in seconds, and give their memory back.
            command: How to start a reader.
        """
        self._slots = asyncio.Semaphore(readers)
        self._idle_s = idle_s
        self._command = command
        self._idle: dict[ReaderProcess, asyncio.Task[None]] = {}

    def media_type_of(self, file_name: str, *, declared: str = "") -> str | None:
        """The media type under which a file of this name is read; None when it cannot be."""
        return media_type_of(file_name, declared=declared)

    async def parse(
        self, content: bytes | Path, *, media_type: str, file_name: str, limits: ParseLimits
    ) -> ParsedDocument:
        """Read one file, see `fireside.ports.document_parser.DocumentParser`."""
        async with self._slots:
            while True:
                reader = self._take_idle() or await ReaderProcess.start(self._command)
                is_fresh = reader.files_read == 0
                try:
                    return await self._read(reader, content, media_type=media_type, limits=limits)
                except ReaderDiedError as death:
                    if is_fresh:
                        message = f"reading the file broke its reader: {death}"
                        raise DocumentTooComplexError(message, file_name=file_name) from death
                except TimeoutError as error:
                    message = f"reading the file takes longer than {limits.seconds:g} s"
                    raise DocumentTooComplexError(message, file_name=file_name) from error

    async def aclose(self) -> None:
        """End the readers. Safe to call twice."""
        while self._idle:
            reader, expiry = self._idle.popitem()
            expiry.cancel()
            await reader.end()

    async def _read(
        self, reader: ReaderProcess, content: bytes | Path, *, media_type: str, limits: ParseLimits
    ) -> ParsedDocument:
        is_reusable = False
        try:
            document = await reader.read(content, media_type=media_type, limits=limits)
            is_reusable = len(document.text) < _LARGE_BYTES
        except DocumentTooComplexError:
            raise
        except FiresideError:
            is_reusable = True
            raise
        else:
            return document
        finally:
            if is_reusable and reader.files_read < _FILES_PER_READER:
                self._keep(reader)
            else:
                await reader.end()

    def _take_idle(self) -> ReaderProcess | None:
        while self._idle:
            reader, expiry = self._idle.popitem()
            expiry.cancel()
            if reader.is_running:
                return reader
        return None

    def _keep(self, reader: ReaderProcess) -> None:
        self._idle[reader] = asyncio.create_task(self._end_later(reader), name="document-reader-idle")

    async def _end_later(self, reader: ReaderProcess) -> None:
        await asyncio.sleep(self._idle_s)
        self._idle.pop(reader, None)
        await reader.end()
