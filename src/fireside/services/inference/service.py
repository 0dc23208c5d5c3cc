"""The inference service: answers prompts with the first model of a chain that can, and passes requests through."""

import asyncio
from collections.abc import AsyncGenerator, Hashable, Mapping
from contextlib import aclosing
from functools import partial

import orjson

from fireside.contracts.answer import Usage
from fireside.contracts.base import Nothing
from fireside.contracts.inference import (
    CHAT,
    FORWARD,
    MODELS,
    PROFILE,
    Chat,
    ChatDelta,
    ChatEnd,
    ChatQueued,
    Forward,
    ForwardChunk,
    ForwardHead,
    ModelProfile,
    ModelReady,
    Models,
    ProfileQuery,
)
from fireside.core.errors import ContextOverflowError, FiresideError, InvalidInputError, UnavailableError
from fireside.ports.language_model import Completed, Prompt, PromptMessage, TextDelta
from fireside.ports.model_engine import EngineState
from fireside.runtime.health import Check
from fireside.runtime.mesh import Context, Service, action, stream_action
from fireside.services.inference.model import Catalogue, ServedModel

_STATES: dict[EngineState, str] = {"stopped": "failed", "loading": "loading", "ready": "ready", "failed": "failed"}


class InferenceService(Service):
    """Knows every model that is served; engines on this machine start and stop with it."""

    name = "inference"

    def __init__(self, *, catalogue: Catalogue) -> None:
        """Serve the models of a catalogue."""
        self._catalogue = catalogue
        self._announcing: set[asyncio.Task[None]] = set()

    async def start(self, context: Context) -> None:
        """Begin to load the engines; requests wait for them, search does not."""
        for model in self._catalogue.models:
            if model.engine is not None:
                await model.engine.start(partial(self._announce, context, model.name))

    def _announce(self, context: Context, name: str) -> None:
        announcing = asyncio.create_task(context.broadcast(ModelReady(name=name)))
        self._announcing.add(announcing)
        announcing.add_done_callback(self._announcing.discard)

    async def stop(self) -> None:
        """Stop engines and let go of connections."""
        for announcing in self._announcing:
            announcing.cancel()
        for model in self._catalogue.models:
            await model.server.close()
            if model.engine is not None:
                await model.engine.stop()

    async def health(self) -> Mapping[str, Check]:
        """One check a model that runs here."""
        return {f"model {model.name}": _check(model) for model in self._catalogue.models if model.engine is not None}

    @action(PROFILE)
    async def profile(self, context: Context, request: ProfileQuery) -> ModelProfile:  # noqa: ARG002
        """Facts about the named model, or about the one that would answer first.

        Raises:
            UnknownModelError: There is no model of that name.
            UnavailableError: No model is served at all.
        """
        return _profile(self._first(request.model))

    @action(MODELS)
    async def models(self, context: Context, request: Nothing) -> Models:  # noqa: ARG002
        """Every model, in order of preference."""
        return Models(items=tuple(_profile(model) for model in self._catalogue.models))

    @stream_action(CHAT)
    async def chat(self, context: Context, request: Chat) -> AsyncGenerator[ChatQueued | ChatDelta | ChatEnd, None]:
        """Answer a prompt; a model that fails before its first word, or is too small, is replaced by the next one.

        Raises:
            UnknownModelError: There is no model of that name.
            UnavailableError: No model of the chain can answer.
        """
        failure: FiresideError = UnavailableError("no model is served; see 'fireside doctor'")
        for position, model in enumerate(self._catalogue.candidates(request.model)):
            begun = False
            try:
                with model.queue.join(_asker(context), request.priority) as ticket:
                    async for place in ticket.wait():
                        yield ChatQueued(ahead=place.ahead, expected_wait_s=place.expected_wait_s)
                    async with aclosing(model.server.chat(_prompt(request, model))) as items:
                        async for item in items:
                            begun = True
                            yield _item(item, model=model.name, fallback=position > 0)
                return
            except FiresideError as error:
                if begun or not (error.retryable or isinstance(error, ContextOverflowError)):
                    raise
                failure = error
        raise failure

    @stream_action(FORWARD)
    async def forward(self, context: Context, request: Forward) -> AsyncGenerator[ForwardHead | ForwardChunk, None]:
        """Pass a compatible client's request to the server of its model, and the reply back as bytes.

        Raises:
            UnknownModelError: There is no model of that name.
            UnavailableError: Its server cannot be reached.
            OverloadedError: Too many wait for it already.
        """
        model = self._catalogue.get(request.model)
        with model.queue.join(_asker(context)) as ticket:
            async for _ in ticket.wait():
                pass
            async with model.server.forward(request.path, _renamed(request, model)) as reply:
                yield ForwardHead(status=reply.status, media_type=reply.media_type)
                async for data in reply.chunks:
                    yield ForwardChunk.model_construct(data=data)

    def _first(self, name: str | None) -> ServedModel:
        candidates = self._catalogue.candidates(name)
        if not candidates:
            raise UnavailableError("no model is served; see 'fireside doctor'")
        return candidates[0]


def _asker(context: Context) -> Hashable:
    return context.identity.user_id or context.identity.name


def _prompt(request: Chat, model: ServedModel) -> Prompt:
    return Prompt(
        model=model.upstream_name,
        messages=tuple(PromptMessage(message.role, message.content) for message in request.messages),
        max_tokens=request.max_tokens,
        temperature=request.temperature,
        seed=request.seed,
        stop=request.stop,
        response_format=request.response_format,
    )


def _item(item: TextDelta | Completed, *, model: str, fallback: bool) -> ChatDelta | ChatEnd:
    if isinstance(item, TextDelta):
        return ChatDelta(text=item.text)
    usage = Usage(
        prompt_tokens=item.prompt_tokens,
        completion_tokens=item.completion_tokens,
        total_tokens=item.prompt_tokens + item.completion_tokens,
        cached_tokens=item.cached_tokens,
    )
    return ChatEnd(model=model, finish_reason=item.finish_reason, usage=usage, fallback=fallback)


def _renamed(request: Forward, model: ServedModel) -> bytes:
    if model.upstream_name == request.model:
        return request.body
    try:
        body = orjson.loads(request.body)
    except orjson.JSONDecodeError as error:
        raise InvalidInputError(f"the body is not JSON: {error}") from error
    return orjson.dumps(body | {"model": model.upstream_name})


def _profile(model: ServedModel) -> ModelProfile:
    status = model.engine.status if model.engine is not None else None
    return ModelProfile.model_validate(
        {
            "name": model.name,
            "state": _STATES[status.state] if status else "remote",
            "answer_style": model.answer_style,
            "context_tokens": model.context_tokens,
            "detail": status.detail if status else "",
            "size_bytes": model.size_bytes,
        }
    )


def _check(model: ServedModel) -> Check:
    status = model.engine.status if model.engine is not None else None
    if status is None or status.state == "ready":
        return Check("ok", f"restarted {status.restarts} times" if status and status.restarts else "")
    return Check("degraded", f"{status.state}: {status.detail}" if status.detail else status.state)
