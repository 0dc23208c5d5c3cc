"""Which models are served right now, and for whom: those of the settings, and those that are installed."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from functools import partial

import structlog

from fireside.contracts.base import Nothing
from fireside.contracts.explore import SHELF, InstalledModel, ModelRule, Shelf
from fireside.contracts.inference import ModelReady
from fireside.core.errors import FiresideError
from fireside.core.identity import Identity, service_identity
from fireside.runtime.context import Context
from fireside.services.inference.engine_room import EngineRoom
from fireside.services.inference.model import Catalogue, ServedModel

log = structlog.stdlib.get_logger(__name__)

_LOOK_S = 30.0
_RETRY_S = 1.0
_DRAIN_S = 60.0
_DRAIN_LOOK_S = 0.1
_SPEED_SHARE = 0.2

MakeInstalled = Callable[[InstalledModel], ServedModel]


@dataclass(slots=True)
class Seen:
    """What was seen of a model: `tokens_per_s` is an average in which later answers count more."""

    answers: int = 0
    tokens_per_s: float | None = None

    def note(self, tokens: int, seconds: float) -> None:
        """Note an answer of so many tokens that took so long from its first one."""
        self.answers += 1
        if tokens > 1 and seconds > 0:
            speed = (tokens - 1) / seconds
            known = speed if self.tokens_per_s is None else self.tokens_per_s
            self.tokens_per_s = known + _SPEED_SHARE * (speed - known)


class Serving:
    """The models of a node. Without `make_installed`, those of the settings, for everybody."""

    def __init__(self, configured: Catalogue, make_installed: MakeInstalled | None, room: EngineRoom) -> None:
        """Serve the models of the settings, and what `make_installed` makes of installed ones, loaded in the room."""
        self._configured, self._make, self._room = configured, make_installed, room
        self._shelf: Shelf | None = None
        self._rules: Mapping[str, ModelRule] = {}
        self._installed: dict[str, tuple[InstalledModel, ServedModel]] = {}
        self._default: str | None = None
        self._announce: Callable[[str], None] = lambda _: None
        self._wake = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._changing = asyncio.Lock()
        self.seen: dict[str, Seen] = {}

    @property
    def every(self) -> tuple[ServedModel, ...]:
        """All models: those of the settings, then those that are installed."""
        return (*self._configured.models, *(model for _, model in self._installed.values()))

    @property
    def loaded(self) -> list[ServedModel]:
        """Those whose engine is loaded here, or should be."""
        return [model for model in self.every if model.engine is not None and self._room.has(model)]

    async def start(self, context: Context) -> None:
        """Begin to load engines, and to follow what is said about models."""
        detached = context.detached()
        self._announce = lambda name: self._spawn(detached.broadcast(ModelReady(name=name)))
        for model in self._configured.models:
            await self._keep_loaded(model)
        if self._make is not None:
            self._spawn(self._follow(context))

    async def stop(self) -> None:
        """Stop engines and let go of connections."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for model in self.every:
            await self._close(model)

    def look_again(self) -> None:
        """Something changed."""
        self._wake.set()

    async def for_caller(self, context: Context, name: str | None = None) -> Catalogue:
        """The models that the caller may use, the default first.

        Args:
            context: Whose they are.
            name: A model that is asked for. When it is not known it may have come a moment ago: it is looked for again.

        Raises:
            UnavailableError: It is not known who may use what, because nobody tells.
        """
        if self._make is not None and (self._shelf is None or not self._is_known(name)):
            await self._refresh(context)
        allowed = [model for model in self.every if self._may_use(context.identity, model.name)]
        allowed.sort(key=lambda model: not self._rule(model.name).is_default)  # the others stay in their order
        named_only = frozenset(model.name for key, (_, model) in self._installed.items() if key != self._default)
        return Catalogue(tuple(allowed), named_only)

    def using(self, model: ServedModel) -> AbstractAsyncContextManager[None]:
        """Have a model loaded, and kept from being unloaded meanwhile; raises as `EngineRoom.using` does."""
        return self._room.using(model, partial(self._announce, model.name))

    def _is_known(self, name: str | None) -> bool:
        return name is None or any(model.name == name for model in self.every)

    def _rule(self, name: str) -> ModelRule:
        return self._rules.get(name.lower()) or ModelRule(name=name)

    def _may_use(self, identity: Identity, name: str) -> bool:
        parts_of_fireside = identity.is_service and identity.user_id is None
        return parts_of_fireside or self._rule(name).allows(identity.roles)

    async def _follow(self, context: Context) -> None:
        while True:
            self._wake.clear()
            wait_s = _LOOK_S
            try:
                await self._refresh(context)
            except FiresideError as error:
                log.info("model_rules_not_read", code=error.code)
                wait_s = _RETRY_S
            await self._room.tidy()
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._wake.wait()

    async def _refresh(self, context: Context) -> None:
        async with self._changing:
            asking = context.with_identity(service_identity("inference"))
            shelf = await asking.call(SHELF, Nothing())
            self._rules = {rule.name.lower(): rule for rule in shelf.rules}
            self._shelf = shelf
            self._take_over(shelf)
            await self._choose()

    def _take_over(self, shelf: Shelf) -> None:
        """Know what is installed now; what is gone, or another file by now, ends once nobody uses it."""
        assert self._make is not None  # noqa: S101 - only then is there a shelf to look at; narrows the type
        configured = {model.name.lower() for model in self._configured.models}
        there = {model.name.lower(): model for model in shelf.installed if model.name.lower() not in configured}
        for key, (known, model) in list(self._installed.items()):
            if there.get(key) != known:
                del self._installed[key]
                self._spawn(self._retire(model))
        for key, model in there.items():
            if key not in self._installed:
                self._installed[key] = (model, self._make(model))

    async def _choose(self) -> None:
        """Keep the default loaded, when it is an installed model; the one before it may be unloaded again."""
        rules = self._rules.items()
        default = next(
            (key for key, rule in rules if rule.is_default and rule.enabled and key in self._installed), None
        )
        for key, (_, model) in self._installed.items():
            if key != default:
                self._room.keep(model, kept=False)
        self._default = default
        if default is not None:
            await self._keep_loaded(self._installed[default][1])

    async def _keep_loaded(self, model: ServedModel) -> None:
        if model.engine is None:
            return
        self._room.keep(model)
        try:
            await self._room.load(model, partial(self._announce, model.name))
        except FiresideError as error:
            log.warning("model_not_loaded", model=model.name, reason=error.message)

    async def _retire(self, model: ServedModel) -> None:
        """Stop a model when those that it is answering have their answers."""
        try:
            async with asyncio.timeout(_DRAIN_S):
                while self._room.is_used(model):  # noqa: ASYNC110 - whoever ends tells nobody
                    await asyncio.sleep(_DRAIN_LOOK_S)
        except TimeoutError:
            log.info("model_stopped_in_use", model=model.name)
        finally:
            await self._close(model)

    async def _close(self, model: ServedModel) -> None:
        await model.server.close()
        await self._room.drop(model)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
