"""The inference service: answers prompts with the first model of a chain that can, and passes requests through."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

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
from fireside.contracts.providers import NODE, TRY, NodeProviders, ProviderTrial, ServedProvider
from fireside.core.errors import (
    ContextOverflowError,
    FiresideError,
    ModelGoneError,
    UnavailableError,
)
from fireside.ports.language_model import Completed, Prompt, PromptMessage, TextDelta
from fireside.ports.model_engine import EngineState
from fireside.runtime.health import Check
from fireside.runtime.mesh import Context, Service, action, on_signal, stream_action
from fireside.runtime.metering import Measures, Unmetered
from fireside.services.inference.abilities import require_kind
from fireside.services.inference.engine_room import EngineRoom
from fireside.services.inference.errors import TooLargeForBudgetError
from fireside.services.inference.loading import OffersLoading
from fireside.services.inference.measuring import forwarded_call, prompted_call
from fireside.services.inference.model import Catalogue, ServedModel
from fireside.services.inference.passing import Opened, Passage, asker
from fireside.services.inference.provider_shelf import ProviderShelf
from fireside.services.inference.reasons import reason_of
from fireside.services.inference.serving import MakeInstalled, Serving
from fireside.services.inference.trying import try_provider
from fireside.services.inference.warm_start import WarmStart

_STATES: dict[EngineState, ModelState] = {
    "stopped": "installed",
    "loading": "loading",
    "ready": "ready",
    "failed": "failed",
}


_NOT_FOR_THIS_MODEL = (ContextOverflowError, ModelGoneError, TooLargeForBudgetError)
"""What another model may be able to do though trying again is of no use."""


class InferenceService(OffersLoading, Service):
    """Knows every model that is served; engines on this machine start and stop with it."""

    name = "inference"

    def __init__(
        self,
        *,
        catalogue: Catalogue,
        room: EngineRoom,
        make_installed: MakeInstalled | None = None,
        meter: Measures | None = None,
        warm_start: WarmStart | None = None,
        providers: ProviderShelf | None = None,
    ) -> None:
        """Serve models.

        Args:
            catalogue: Those of the settings.
            room: Where engines are loaded.
            make_installed: Makes the engine of an installed model. Without it nobody is asked which models are
                installed and who may use which.
            meter: Holds calls to limits, and counts what they use; None to do neither.
            warm_start: Remembers across restarts what was loaded.
            providers: The providers of the settings, and those that are kept.
        """
        self._serving = Serving(catalogue, make_installed, room, warm_start or WarmStart(), providers)
        self._meter = meter or Unmetered()
        self._providers = providers

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
        catalogue = await self._serving.for_caller(context, request.model)
        candidates = catalogue.candidates(request.model, request.role)
        if not candidates:
            raise UnavailableError("no model is served; see 'fireside doctor'")
        return self._profile(candidates[0])

    @action(MODELS)
    async def models(self, context: Context, request: Nothing) -> Models:
        """Every model that the caller may use, in order of preference."""
        del request
        found = await self._serving.for_caller(context)
        return Models(items=tuple(self._profile(model) for model in found.distinct))

    @action(NODE)
    async def providers(self, context: Context, request: Nothing) -> NodeProviders:
        """The providers of the settings, and how this node finds every provider."""
        del context, request
        if self._providers is None:
            return NodeProviders()
        return NodeProviders(fixed=self._providers.shown, health=self._providers.health())

    @action(TRY)
    async def try_provider(self, context: Context, request: ServedProvider) -> ProviderTrial:
        """Ask a provider for its models, and say in words what is wrong."""
        if self._providers is None:
            return ProviderTrial(ok=False, problem="this node asks no providers")
        return await try_provider(self._providers, request, context.dispatcher.clock)

    @stream_action(CHAT)
    async def chat(self, context: Context, request: Chat) -> AsyncGenerator[ChatQueued | ChatDelta | ChatEnd, None]:
        """Answer a prompt; a model that fails before its first word, or is too small, is replaced by the next one.

        Raises:
            UnknownModelError: There is no model of that name.
            UnavailableError: No model of the chain can answer.
        """
        failure: FiresideError = UnavailableError("no model is served; see 'fireside doctor'")
        catalogue = await self._serving.for_caller(context, request.model)
        candidates = catalogue.candidates(request.model, request.role)
        if request.model is not None:
            require_kind(candidates[0], "/v1/chat/completions")
        wanted, reason = "", ""
        for model in candidates:
            begun, wanted = False, wanted or model.name
            try:
                async with aclosing(self._answer(context, request, model)) as items:
                    async for item in items:
                        begun = begun or not isinstance(item, ChatQueued)
                        is_other = isinstance(item, ChatEnd) and model.name != wanted
                        yield item.model_copy(update=_replacing(wanted, reason)) if is_other else item
                return
            except FiresideError as error:
                if begun or not (error.retryable or isinstance(error, _NOT_FOR_THIS_MODEL)):
                    raise
                failure = error
                reason = reason_of(error) if model.name == wanted else reason
        raise failure

    async def _answer(
        self, context: Context, request: Chat, model: ServedModel
    ) -> AsyncGenerator[ChatQueued | ChatDelta | ChatEnd, None]:
        clock, begun = context.dispatcher.clock, None
        model.require_ready()
        calling = self._meter.measure(context, model.name, prompted_call(request, model))
        async with calling as measured, self._serving.using(model):
            with model.part, model.queue.join(asker(context), request.priority) as ticket:
                async for place in ticket.wait():
                    yield ChatQueued(ahead=place.ahead, expected_wait_s=place.expected_wait_s)
                if model.is_there:
                    measured.asked()
                async with aclosing(model.server.chat(_prompt(request, model))) as items:
                    async for item in items:
                        begun = clock.monotonic() if begun is None else begun
                        if isinstance(item, Completed):
                            self._serving.seen(model).note(item.completion_tokens, clock.monotonic() - begun)
                            measured.used(_usage(item))
                        else:
                            measured.heard()
                        yield _item(item, model=model.name)

    @stream_action(FORWARD)
    async def forward(self, context: Context, request: Forward) -> AsyncGenerator[ForwardHead | ForwardChunk, None]:
        """Pass a compatible client's request to the server of its model, and the reply back as bytes.

        Raises:
            UnknownModelError: There is no model of that name.
            UnavailableError: Its server cannot be reached.
            OverloadedError: Too many wait for it already.
        """
        models = (await self._serving.for_caller(context, request.model)).equals(request.model)
        require_kind(models[0], request.path)
        calling = self._meter.measure(context, request.model, forwarded_call(request, models[0]))
        async with calling as measured, Opened(self._serving, context, request, models, measured) as reply:
            passage = Passage(reply, measured)
            yield ForwardHead(status=reply.status, media_type=reply.media_type).followed_by(passage)
            while data := await passage.read():
                yield ForwardChunk(data=data)
            passage.require_whole()

    def _profile(self, model: ServedModel) -> ModelProfile:
        status = model.engine.status if model.engine is not None else None
        seen = self._serving.seen(model)
        return ModelProfile(
            name=model.name,
            state=_STATES[status.state] if status else "remote",
            answer_style=model.answer_style,
            kind=model.kind,
            context_tokens=model.context_tokens,
            detail=status.detail if status else "",
            family=model.family,
            size_bytes=model.size_bytes,
            tokens_per_s=seen.tokens_per_s,
            answers=seen.answers,
        )


def _replacing(wanted: str, reason: str) -> dict[str, object]:
    return {"fallback": True, "instead_of": wanted, "reason": reason}


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


def _item(item: TextDelta | Completed, *, model: str) -> ChatDelta | ChatEnd:
    if isinstance(item, TextDelta):
        return ChatDelta(text=item.text)
    return ChatEnd(model=model, finish_reason=item.finish_reason, usage=_usage(item))


def _usage(end: Completed) -> Usage:
    return Usage(
        prompt_tokens=end.prompt_tokens,
        completion_tokens=end.completion_tokens,
        total_tokens=end.prompt_tokens + end.completion_tokens,
        cached_tokens=end.cached_tokens,
    )


def _check(model: ServedModel) -> Check:
    status = model.engine.status if model.engine is not None else None
    if status is None or status.state == "ready":
        return Check("ok", f"restarted {status.restarts} times" if status and status.restarts else "")
    return Check("degraded", f"{status.state}: {status.detail}" if status.detail else status.state)
