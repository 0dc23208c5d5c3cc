"""Passing a compatible client's request on: to the model that it names, at whichever of its equals answers."""

from collections.abc import AsyncGenerator, Awaitable, Hashable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import TracebackType

import orjson

from fireside.contracts.inference import Forward
from fireside.core.errors import FiresideError, InvalidInputError, UnavailableError, UpstreamError
from fireside.ports.language_model import RawReply, WriteBytes
from fireside.runtime.context import Context
from fireside.runtime.metering import Measured, ReplyReader
from fireside.services.inference.images import refuse_images
from fireside.services.inference.model import ServedModel
from fireside.services.inference.serving import Serving

_OK = 200


class Passage:
    """The bytes of a reply on their way to whoever asked; what they used is read along."""

    __slots__ = ("_error", "_over", "_reader", "_reply", "_streamed")

    def __init__(self, reply: RawReply, measured: Measured) -> None:
        """Begin to pass a reply on, which counts when it is an answer."""
        self._reply, self._reader = reply, ReplyReader()
        self._streamed = reply.is_stream and reply.status == _OK
        self._over = False
        self._error: FiresideError | None = None
        if reply.status == _OK:
            measured.reads(self._reader)

    async def read(self) -> bytes:
        """The next bytes; empty at their end and where they break off, of which `require_whole` tells."""
        while not self._over:
            try:
                data = await anext(self._reply.chunks)
            except StopAsyncIteration:
                self._over = True
            except FiresideError as error:
                self._over, self._error = True, error
            else:
                self._reader.feed(data)
                if data:
                    return data
        return b""

    async def pipe(self, write: WriteBytes) -> None:
        """As `RawReply.pipe`; it ends also where the bytes break off, of which `require_whole` tells."""
        feed = self._reader.feed

        def write_read(data: bytes) -> Awaitable[None]:
            feed(data)
            return write(data)

        try:
            await self._reply.pipe(write_read)
        except FiresideError as error:
            self._error = error
        self._over = True

    def require_whole(self) -> None:
        """Pass when the reply has come to its end, which a stream tells itself.

        Raises:
            FiresideError: It broke off.
        """
        if self._error is not None:
            raise self._error
        if self._streamed and not self._reader.has_ended:
            raise UpstreamError("the model's server broke off in the middle of an answer")


def asker(context: Context) -> Hashable:
    """Whose turn a request counts as."""
    return context.identity.user_id or context.identity.name


class Opened(AbstractAsyncContextManager[RawReply]):
    """The reply of the first of equal models, or of the next when one fails before its first byte.

    Another model never answers: who names a model here gets that model.
    """

    def __init__(
        self, serving: Serving, context: Context, request: Forward, models: Sequence[ServedModel], measured: Measured
    ) -> None:
        """Prepare to ask the models, in order."""
        self._serving, self._context, self._request, self._models = serving, context, request, models
        self._measured = measured

    async def __aenter__(self) -> RawReply:
        """Ask.

        Raises:
            FiresideError: The last of them failed.
        """
        for model in self._models:
            self._asked = _asked(self._serving, self._context, self._request, model, self._measured)
            try:
                return await self._asked.__aenter__()
            except FiresideError as error:
                if model is self._models[-1] or not error.retryable:
                    raise
        raise UnavailableError("no model of that name is served")

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        """Let go of the model that answered."""
        return await self._asked.__aexit__(kind, error, trace)


@asynccontextmanager
async def _asked(
    serving: Serving, context: Context, request: Forward, model: ServedModel, measured: Measured
) -> AsyncGenerator[RawReply]:
    body = _renamed(request, model)
    refuse_images(body, model)
    model.require_ready()
    async with serving.using(model):
        with model.part, model.queue.join(asker(context), request.priority) as ticket:
            if not ticket.has_place:
                async for _ in ticket.wait():
                    pass
            heard = measured.asked() if model.is_there else None
            async with model.server.forward(request.path, body, heard) as reply:
                yield reply


def _renamed(request: Forward, model: ServedModel) -> bytes:
    if model.upstream_name == request.model:
        return request.body
    try:
        body = orjson.loads(request.body)
    except orjson.JSONDecodeError as error:
        raise InvalidInputError(f"the body is not JSON: {error}") from error
    return orjson.dumps(body | {"model": model.upstream_name})
