"""The two ends of a stream between nodes: items in order, and never more on their way than the consumer allows.

The consumer states a window with its request, and tells from time to time how many items it has taken; the producer
waits while a whole window is on its way. Moleculer's own nodes know no window: to them the producer just sends, and
from them the buffer has an upper bound.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from fireside.core.errors import FiresideError, UpstreamError

UNLIMITED_BUFFER = 10_000
"""Items that may wait when the producer knows no window."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """One packet of a stream.

    Attributes:
        data: The item as JSON; None when this packet carries none.
        last: Whether the stream ends here.
        error: Why it ends, if not because all was said.
    """

    data: bytes | None = None
    last: bool = False
    error: FiresideError | None = None


class StreamReader:
    """The consumer's end: puts packets in order and hands the items out."""

    def __init__(self, *, window: int | None, on_taken: Callable[[int], None]) -> None:
        self._window = window
        self._on_taken = on_taken
        self._next_seq = 0
        self._early: dict[int, Chunk] = {}
        self._ready: deque[Chunk] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._taken = self._told = 0
        self.ended = False

    def feed(self, seq: int, chunk: Chunk) -> None:
        """Take a packet in, in whatever order they come; one that came before is ignored."""
        if self.ended or seq < self._next_seq:
            return
        self._early[seq] = chunk
        while (following := self._early.pop(self._next_seq, None)) is not None:
            self._next_seq += 1
            self._append(following)
        if len(self._ready) + len(self._early) > (self._window or UNLIMITED_BUFFER) + 2:
            self.fail(UpstreamError("the other node sends faster than was agreed"))

    def fail(self, error: FiresideError) -> None:
        """End the stream here, after what has arrived; nothing happens when it has ended already."""
        if not self.ended:
            self._append(Chunk(last=True, error=error))

    async def next(self) -> bytes | None:
        """The next item as JSON; None when the stream has ended.

        Raises:
            FiresideError: The stream ended with it.
        """
        while not self._ready:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        chunk = self._ready[0]
        if chunk.last:
            if chunk.error is not None:
                raise chunk.error
            return None
        self._ready.popleft()
        self._taken += 1
        if self._window is not None and self._taken - self._told >= self._window // 2:
            self._told = self._taken
            self._on_taken(self._taken)
        return chunk.data

    def _append(self, chunk: Chunk) -> None:
        if chunk.data is None and not chunk.last:
            return
        if not self.ended:
            self._ready.append(chunk)
        self.ended = self.ended or chunk.last
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class StreamGate:
    """The producer's end: lets an item through once there is room for it."""

    __slots__ = ("_sent", "_taken", "_waiter", "_window")

    def __init__(self, window: int | None) -> None:
        self._window = window
        self._sent = self._taken = 0
        self._waiter: asyncio.Future[None] | None = None

    @property
    def is_limited(self) -> bool:
        """Whether the consumer has stated a window."""
        return self._window is not None

    def taken(self, count: int) -> None:
        """The consumer has taken so many items in all."""
        self._taken = max(self._taken, min(count, self._sent))
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def pass_one(self) -> None:
        """Wait until one more item may be on its way."""
        while self._window is not None and self._sent - self._taken >= self._window:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        self._sent += 1
