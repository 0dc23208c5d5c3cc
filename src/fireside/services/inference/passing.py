"""Passing a compatible client's request on: to the model that it names, at whichever of its equals answers."""

from collections.abc import AsyncGenerator, Hashable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import orjson

from fireside.contracts.inference import Forward
from fireside.core.errors import FiresideError, InvalidInputError
from fireside.ports.language_model import RawReply
from fireside.runtime.context import Context
from fireside.services.inference.images import refuse_images
from fireside.services.inference.model import ServedModel
from fireside.services.inference.serving import Serving


def asker(context: Context) -> Hashable:
    """Whose turn a request counts as."""
    return context.identity.user_id or context.identity.name


@asynccontextmanager
async def opened(
    serving: Serving, context: Context, request: Forward, models: Sequence[ServedModel]
) -> AsyncGenerator[RawReply]:
    """The reply of the first of equal models, or of the next when one fails before its first byte.

    Another model never answers: who names a model here gets that model.

    Raises:
        FiresideError: The last of them failed.
    """
    for model in models:
        async with AsyncExitStack() as stack:
            try:
                reply = await _ask(stack, serving, context, request, model)
            except FiresideError as error:
                if model is models[-1] or not error.retryable:
                    raise
                continue
            yield reply
            return


async def _ask(
    stack: AsyncExitStack, serving: Serving, context: Context, request: Forward, model: ServedModel
) -> RawReply:
    body = _renamed(request, model)
    refuse_images(body, model)
    model.require_ready()
    await stack.enter_async_context(serving.using(model))
    ticket = stack.enter_context(model.queue.join(asker(context), request.priority))
    async for _ in ticket.wait():
        pass
    return await stack.enter_async_context(model.server.forward(request.path, body))


def _renamed(request: Forward, model: ServedModel) -> bytes:
    if model.upstream_name == request.model:
        return request.body
    try:
        body = orjson.loads(request.body)
    except orjson.JSONDecodeError as error:
        raise InvalidInputError(f"the body is not JSON: {error}") from error
    return orjson.dumps(body | {"model": model.upstream_name})
