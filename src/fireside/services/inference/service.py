"""The inference service: answers prompts with the first model of a chain that can, and passes requests through."""

from collections.abc import AsyncGenerator, Hashable, Mapping
from contextlib import aclosing

import orjson

from fireside.contracts.answer import Usage
from fireside.contracts.base import Nothing
from fireside.contracts.explore import ModelsChanged
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
    Models,
    ModelState,
    ProfileQuery,
)
from fireside.core.errors import ContextOverflowError, FiresideError, InvalidInputError, UnavailableError
from fireside.ports.language_model import Completed, Prompt, PromptMessage, TextDelta
from fireside.ports.model_engine import EngineState
from fireside.runtime.health import Check
from fireside.runtime.mesh import Context, Service, action, on_signal, stream_action
from fireside.services.inference.engine_room import EngineRoom
from fireside.services.inference.errors import TooLargeForBudgetError
from fireside.services.inference.model import Catalogue, ServedModel
from fireside.services.inference.serving import MakeInstalled, Seen, Serving

_STATES: dict[EngineState, ModelState] = {
    "stopped": "installed",
    "loading": "loading",
    "ready": "ready",
    "failed": "failed",
}


_NOT_FOR_THIS_MODEL = (ContextOverflowError, TooLargeForBudgetError)
"""What another model may be able to do though trying again is of no use."""


class InferenceService(Service):
    """Knows every model that is served; engines on this machine start and stop with it."""

    name = "inference"

    def __init__(self, *, catalogue: Catalogue, room: EngineRoom, make_installed: MakeInstalled | None = None) -> None:
        """Serve models.

        Args:
            catalogue: Those of the settings.
            room: Where engines are loaded.
            make_installed: Makes the engine of an installed model. Without it nobody is asked which models are
                installed and who may use which.
        """
        self._serving = Serving(catalogue, make_installed, room)

    async def start(self, context: Context) -> None:
        """Begin to load the engines; requests wait for them, search does not."""
        await self._serving.start(context)

    async def stop(self) -> None:
        """Stop engines and let go of connections."""
        await self._serving.stop()

    @on_signal(ModelsChanged)
    async def look_again(self, context: Context, signal: ModelsChanged) -> None:
        """Follow what was installed, removed, chosen, turned on or off."""
        del context, signal
        self._serving.look_again()

    async def health(self) -> Mapping[str, Check]:
        """One check a model that is loaded here, or should be."""
        return {f"model {model.name}": _check(model) for model in self._serving.loaded}

    @action(PROFILE)
    async def profile(self, context: Context, request: ProfileQuery) -> ModelProfile:
        """Facts about the named model, or about the one that would answer first.

        Raises:
            UnknownModelError: There is no model of that name.
            UnavailableError: No model is served at all.
        """
        candidates = (await self._serving.for_caller(context, request.model)).candidates(request.model)
        if not candidates:
            raise UnavailableError("no model is served; see 'fireside doctor'")
        return self._profile(candidates[0])

    @action(MODELS)
    async def models(self, context: Context, request: Nothing) -> Models:
        """Every model that the caller may use, in order of preference."""
        del request
        found = await self._serving.for_caller(context)
        return Models(items=tuple(self._profile(model) for model in found.models))

    @stream_action(CHAT)
    async def chat(self, context: Context, request: Chat) -> AsyncGenerator[ChatQueued | ChatDelta | ChatEnd, None]:
        """Answer a prompt; a model that fails before its first word, or is too small, is replaced by the next one.

        Raises:
            UnknownModelError: There is no model of that name.
            UnavailableError: No model of the chain can answer.
        """
        failure: FiresideError = UnavailableError("no model is served; see 'fireside doctor'")
        candidates = (await self._serving.for_caller(context, request.model)).candidates(request.model)
        for position, model in enumerate(candidates):
            begun = False
            try:
                async with aclosing(self._answer(context, request, model, fallback=position > 0)) as items:
                    async for item in items:
                        begun = begun or not isinstance(item, ChatQueued)
                        yield item
                return
            except FiresideError as error:
                if begun or not (error.retryable or isinstance(error, _NOT_FOR_THIS_MODEL)):
                    raise
                failure = error
        raise failure

    async def _answer(
        self, context: Context, request: Chat, model: ServedModel, *, fallback: bool
    ) -> AsyncGenerator[ChatQueued | ChatDelta | ChatEnd, None]:
        clock, begun = context.dispatcher.clock, None
        async with self._serving.using(model):
            with model.queue.join(_asker(context), request.priority) as ticket:
                async for place in ticket.wait():
                    yield ChatQueued(ahead=place.ahead, expected_wait_s=place.expected_wait_s)
                async with aclosing(model.server.chat(_prompt(request, model))) as items:
                    async for item in items:
                        begun = clock.monotonic() if begun is None else begun
                        if isinstance(item, Completed):
                            self._seen(model).note(item.completion_tokens, clock.monotonic() - begun)
                        yield _item(item, model=model.name, fallback=fallback)

    @stream_action(FORWARD)
    async def forward(self, context: Context, request: Forward) -> AsyncGenerator[ForwardHead | ForwardChunk, None]:
        """Pass a compatible client's request to the server of its model, and the reply back as bytes.

        Raises:
            UnknownModelError: There is no model of that name.
            UnavailableError: Its server cannot be reached.
            OverloadedError: Too many wait for it already.
        """
        model = (await self._serving.for_caller(context, request.model)).get(request.model)
        body = _renamed(request, model)
        async with self._serving.using(model):
            with model.queue.join(_asker(context)) as ticket:
                async for _ in ticket.wait():
                    pass
                async with model.server.forward(request.path, body) as reply:
                    yield ForwardHead(status=reply.status, media_type=reply.media_type)
                    async for data in reply.chunks:
                        yield ForwardChunk.model_construct(data=data)

    def _seen(self, model: ServedModel) -> Seen:
        return self._serving.seen.setdefault(model.name, Seen())

    def _profile(self, model: ServedModel) -> ModelProfile:
        status = model.engine.status if model.engine is not None else None
        seen = self._seen(model)
        return ModelProfile(
            name=model.name,
            state=_STATES[status.state] if status else "remote",
            answer_style=model.answer_style,
            context_tokens=model.context_tokens,
            detail=status.detail if status else "",
            family=model.family,
            size_bytes=model.size_bytes,
            tokens_per_s=seen.tokens_per_s,
            answers=seen.answers,
        )


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


def _check(model: ServedModel) -> Check:
    status = model.engine.status if model.engine is not None else None
    if status is None or status.state == "ready":
        return Check("ok", f"restarted {status.restarts} times" if status and status.restarts else "")
    return Check("degraded", f"{status.state}: {status.detail}" if status.detail else status.state)
