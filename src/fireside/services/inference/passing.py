"""Passing a compatible client's request on: to the model that it names, at whichever of its equals answers."""

from collections.abc import AsyncGenerator, Hashable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import TracebackType

import orjson

from fireside.contracts.inference import Forward
from fireside.core.errors import FiresideError, InvalidInputError, UnavailableError
from fireside.ports.language_model import RawReply
from fireside.runtime.context import Context
from fireside.services.inference.images import refuse_images
from fireside.services.inference.model import ServedModel
from fireside.services.inference.serving import Serving


def asker(context: Context) -> Hashable:
    """Whose turn a request counts as."""
    return context.identity.user_id or context.identity.name


class Opened(AbstractAsyncContextManager[RawReply]):
    """The reply of the first of equal models, or of the next when one fails before its first byte.

    Another model never answers: who names a model here gets that model.
    """

    def __init__(self, serving: Serving, context: Context, request: Forward, models: Sequence[ServedModel]) -> None:
        """Prepare to ask the models, in order."""
        self._serving, self._context, self._request, self._models = serving, context, request, models

    async def __aenter__(self) -> RawReply:
        """Ask.

        Raises:
            FiresideError: The last of them failed.
        """
        for model in self._models:
            self._asked = _asked(self._serving, self._context, self._request, model)
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
async def _asked(serving: Serving, context: Context, request: Forward, model: ServedModel) -> AsyncGenerator[RawReply]:
    body = _renamed(request, model)
    refuse_images(body, model)
    model.require_ready()
    async with serving.using(model):
        with model.queue.join(asker(context), request.priority) as ticket:
            if not ticket.has_place:
                async for _ in ticket.wait():
                    pass
            async with model.server.forward(request.path, body) as reply:
                yield reply


def _renamed(request: Forward, model: ServedModel) -> bytes:
    if model.upstream_name == request.model:
        return request.body
    try:
        body = orjson.loads(request.body)
    except orjson.JSONDecodeError as error:
        raise InvalidInputError(f"the body is not JSON: {error}") from error
    return orjson.dumps(body | {"model": model.upstream_name})
