"""One connection to a server of models, and HTTP/1.1 on it: a request at a time, replies as the bytes come.

Only what such servers need, because a general client costs as much as all the rest of a request's way: no redirects, no
cookies, no compression, and no object for each header.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, cast

import httptools

from fireside.core.tasks import begun
from fireside.ports.language_model import WriteBytes

Origin = tuple[str, str, int]
"""Scheme, host and port."""

_MOST_BUFFERED_BYTES: Final = 1 << 18
_LONGEST_WITH_HEAD_BYTES: Final = 1 << 16
_LENIENT: Final = ("lenient_headers", "lenient_optional_cr_before_lf", "lenient_spaces_after_chunk_size")


class HungUpError(ConnectionError):
    """The server closed the connection before it said a word."""


class BrokenReplyError(ConnectionError):
    """The server broke off in the middle of a reply, or did not speak HTTP."""


class SilentServerError(TimeoutError):
    """The server said nothing for too long."""


class Wire(asyncio.Protocol):
    """A connection. After `ask`, `status`, `headers` and `read` are those of the reply.

    Attributes:
        origin: Where it leads.
        status: Of the reply.
        headers: Of the reply, their names in lower case; of several with one name the last.
        complete: Whether the whole reply has come; nothing is asked before that, either.
    """

    __slots__ = (
        *("_buffered_bytes", "_error", "_headed", "_heard", "_keep_s", "_loop", "_may_be_kept", "_moved_at_s"),
        *("_on_lost", "_parser", "_paused", "_pieces", "_read_timeout_s", "_transport", "_unwritten", "_waiter"),
        *("_write", "complete", "headers", "origin", "status"),
    )

    def __init__(
        self, origin: Origin, *, read_timeout_s: float, keep_s: float, on_lost: Callable[["Wire"], None]
    ) -> None:
        """Describe a connection.

        Args:
            origin: Where it leads.
            read_timeout_s: Longest silence of the server.
            keep_s: How long it is kept when nobody uses it.
            on_lost: Called once when it is closed, by whomever.
        """
        self.origin, self._read_timeout_s, self._keep_s, self._on_lost = origin, read_timeout_s, keep_s, on_lost
        self.status, self.headers, self.complete = 0, dict[bytes, bytes](), True
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpResponseParser(self)
        self._parser.set_dangerous_leniencies(**dict.fromkeys(_LENIENT, True))
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._error: Exception | None = None
        self._pieces: list[bytes] = []
        self._write: WriteBytes | None = None
        self._unwritten: Awaitable[None] | None = None
        self._buffered_bytes, self._paused = 0, False
        self._heard = self._headed = self._may_be_kept = False
        self._moved_at_s = 0.0

    @property
    def is_reusable(self) -> bool:
        """Whether it can take another request."""
        if self._transport is None or self._transport.is_closing():
            return False
        was_read_and_sent = not self._pieces and not self._transport.get_write_buffer_size()
        return self.complete and self._may_be_kept and was_read_and_sent

    async def ask(self, head: bytes, body: bytes) -> None:
        """Send a request, and wait for the head of its reply.

        Raises:
            HungUpError: The server closed the connection before it said a word.
            BrokenReplyError: It broke off within the head, or does not speak HTTP.
            SilentServerError: It said nothing for too long.
        """
        if self._transport is None:
            raise HungUpError
        self.headers, self.complete = {}, False
        self._heard = self._headed = self._may_be_kept = False
        self._moved_at_s = self._loop.time()
        if len(body) < _LONGEST_WITH_HEAD_BYTES:
            self._transport.write(head + body)
        else:
            self._transport.writelines((head, body))
        while not self._headed:
            await self._news()

    async def read(self) -> bytes:
        """The next bytes of the reply, all that have come; empty at its end.

        Raises:
            BrokenReplyError: It broke off.
            SilentServerError: The server said nothing for too long.
        """
        while not self._pieces:
            if self.complete:
                return b""
            await self._news()
        return self._take()

    async def pipe(self, write: WriteBytes) -> None:
        """Have all that comes written, to the end of the reply: at once, in no task, where there is no need to wait.

        Raises:
            OSError: As `read`.
        """
        while data := await self.read():
            await write(data)
            if self._pieces or self.complete:
                continue
            self._write = write
            try:
                await self._news()  # of the end, or of a piece that has to wait until it is written
            finally:
                self._write = None
            if (unwritten := self._unwritten) is not None:
                self._unwritten = None
                await unwritten

    def _take(self) -> bytes:
        pieces, self._pieces, self._buffered_bytes = self._pieces, [], 0
        if self._paused and self._transport is not None:
            self._paused, self._moved_at_s = False, self._loop.time()
            self._transport.resume_reading()
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def close(self) -> None:
        """Hang up at once: the server stops whatever it does for the request."""
        self._may_be_kept = False
        if self._transport is not None:
            self._transport.abort()

    async def _news(self) -> None:
        if self._error is not None:
            raise self._error
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _fail(self, error: Exception) -> None:
        self._error = self._error or error
        self.close()
        self._wake()

    def look(self) -> None:
        """Give up a server that has said nothing for too long, and a connection that nobody has used for long."""
        limit_s = self._keep_s if self.complete else self._read_timeout_s
        if self._paused or self._loop.time() - self._moved_at_s < limit_s:
            return
        self.close() if self.complete else self._fail(SilentServerError())

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Be open."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are no subclass
        self._moved_at_s = self._loop.time()

    def data_received(self, data: bytes) -> None:
        """Take the next bytes of the reply."""
        if self.complete:  # nothing was asked
            self.close()
            return
        self._heard, self._moved_at_s = True, self._loop.time()
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(BrokenReplyError(str(error)))
            return
        if (write := self._write) is not None and self._pieces and not self.complete:
            self._unwritten = begun(write(self._take()))
            if self._unwritten is None:
                return
            self._write = None
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """Be closed; a reply without a length ends so."""
        self._transport = None
        if not self.complete:
            if self._headed and exc is None and self._error is None and self._ends_with_connection():
                self.complete = True
            else:
                self._error = self._error or (BrokenReplyError() if self._heard else HungUpError())
        self._wake()
        self._on_lost(self)

    def _ends_with_connection(self) -> bool:
        return b"content-length" not in self.headers and b"chunked" not in self.headers.get(b"transfer-encoding", b"")

    # What the parser calls.

    def on_message_begin(self) -> None:
        """Stop where a server says more than it was asked for; this ends `feed_data`.

        Raises:
            BrokenReplyError: It does.
        """
        if self.complete:
            raise BrokenReplyError("the server said more than it was asked for")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Note a header."""
        self.headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        """Note how the server answered."""
        self.status = self._parser.get_status_code()
        self._headed = self.status >= 200  # what comes before is an interim reply

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body; the server waits while too many lie here."""
        self._pieces.append(body)
        self._buffered_bytes += len(body)
        if self._buffered_bytes > _MOST_BUFFERED_BYTES and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        """Be at the end of a reply."""
        if not self._headed:
            self.headers = {}
            return
        self.complete, self._may_be_kept = True, self._parser.should_keep_alive()
