"""The server of the embedded engine, which is started anew when it crashes."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import replace

from fireside.adapters.language_model.llama_server import LlamaServer
from fireside.adapters.language_model.model_server import BrokenOffError
from fireside.ports.language_model import Heard, RawReply, WriteBytes


class EngineServer(LlamaServer):
    """Asks once more, of the engine that follows, what a crashed one had not answered with a byte.

    llama.cpp sends the head of a stream before it has read the prompt: a reply has begun with its first byte after it.
    """

    _noticed_within_s = 2.0

    @asynccontextmanager
    async def forward(self, path: str, body: bytes, heard: Heard | None = None) -> AsyncGenerator[RawReply, None]:
        """Pass a request through; leaving the context stops the engine."""
        async with AsyncExitStack() as replies:
            asked = await self._locate()
            try:
                reply = await _begun(replies, super().forward(path, body, heard))
            except BrokenOffError:
                await replies.aclose()
                if not await self._has_moved(asked):
                    raise
                reply = await _begun(replies, super().forward(path, body, heard))
            yield reply


async def _begun(replies: AsyncExitStack, request: AbstractAsyncContextManager[RawReply]) -> RawReply:
    """The reply, of which the first bytes have come."""
    reply = await replies.enter_async_context(request)
    chunks = _Begun(await anext(reply.chunks, b""), reply)
    return replace(reply, chunks=chunks, pour=chunks.pour)


class _Begun(AsyncIterator[bytes]):
    """All bytes of a reply, of which the first have come."""

    __slots__ = ("_first", "_reply")

    def __init__(self, first: bytes, reply: RawReply) -> None:
        self._first, self._reply = first, reply

    async def __anext__(self) -> bytes:
        first, self._first = self._first, b""
        return first or await anext(self._reply.chunks)

    async def pour(self, write: WriteBytes) -> None:
        """As `RawReply.pipe`."""
        if self._first:
            await write(await anext(self))
        await self._reply.pipe(write)
