"""Which models are served right now, and for whom: those of the settings, and those that are installed."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from functools import partial

import structlog

from fireside.contracts.base import Nothing
from fireside.contracts.explore import SHELF, InstalledModel, ModelRule, Shelf
from fireside.contracts.inference import ModelReady
from fireside.core.errors import FiresideError
from fireside.core.identity import Identity, service_identity
from fireside.core.tasks import Tasks
from fireside.runtime.context import Context
from fireside.runtime.durable.wakeups import wait_at_most
from fireside.services.inference.engine_room import Care, EngineRoom
from fireside.services.inference.model import Catalogue, ServedModel
from fireside.services.inference.provider_shelf import ProviderShelf, retire
from fireside.services.inference.warm_start import Seen, WarmStart

log = structlog.stdlib.get_logger(__name__)

_LOOK_S = 30.0
_RETRY_S = 1.0
_DRAIN_S = 60.0
_DRAIN_LOOK_S = 0.1
_RANKS = {"low": -1, "normal": 0, "high": 1}

MakeInstalled = Callable[[InstalledModel], ServedModel]


class Serving:
    """The models of a node. Without `make_installed`, those of the settings, for everybody."""

    def __init__(
        self,
        configured: Catalogue,
        make_installed: MakeInstalled | None,
        room: EngineRoom,
        warm_start: WarmStart,
        providers: ProviderShelf | None = None,
    ) -> None:
        """Serve the models of the settings, what `make_installed` makes of installed ones, and those of providers."""
        self._configured, self._make, self._room, self.providers = configured, make_installed, room, providers
        self._shelf: Shelf | None = None
        self._rules: Mapping[str, ModelRule] = {}
        self._installed: dict[str, tuple[InstalledModel, ServedModel]] = {}
        self._names: frozenset[str] = frozenset(model.name for model in self.every)
        self._catalogues: dict[frozenset[str] | None, Catalogue] = {}
        self._announce: Callable[[str], None] = lambda _: None
        self._wake = asyncio.Event()
        self._tasks = Tasks()
        self._changing = asyncio.Lock()
        self._warm_start = warm_start
        room.on_change = self.look_again

    @property
    def every(self) -> tuple[ServedModel, ...]:
        """All models: those of the settings, those that are installed, those of providers that are kept."""
        kept = self.providers.models if self.providers is not None else ()
        return (*self._configured.models, *(model for _, model in self._installed.values()), *kept)

    @property
    def loaded(self) -> list[ServedModel]:
        """Those whose engine is loaded here, or should be."""
        return [model for model in self.every if model.engine is not None and self._room.has(model)]

    async def start(self, context: Context) -> None:
        """Begin to load engines, and to follow what is said about models."""
        await self._warm_start.recall()
        detached = context.detached()

        def announce(name: str) -> None:
            self._tasks.run(detached.broadcast(ModelReady(name=name)))

        self._announce = announce
        for model in self._configured.models:
            self._room.treat(model, Care(kept=model.engine is not None))
            await self._try_to_load(model)
        if self._make is not None:
            self._tasks.run(self._follow(context))

    async def stop(self) -> None:
        """Stop engines and let go of connections."""
        await self._tasks.end()
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
        roles = _roles_of(context.identity)
        found = self._catalogues.get(roles)
        if found is None:
            found = self._catalogues[roles] = self._catalogue(roles)
        return found

    def seen(self, model: ServedModel) -> Seen:
        """What was seen of a model."""
        return self._warm_start.seen.setdefault(model.name.lower(), Seen())

    async def load(self, model: ServedModel) -> None:
        """Begin to load a model; raises as `EngineRoom.using` does."""
        if model.engine is not None:
            await self._room.load(model, partial(self._announce, model.name))

    async def release(self, model: ServedModel) -> bool:
        """Unload a model unless it is kept or used; says whether it takes no memory now."""
        return await self._room.release(model)

    def using(self, model: ServedModel) -> AbstractAsyncContextManager[None]:
        """Have a model loaded, and kept from being unloaded meanwhile; raises as `EngineRoom.using` does."""
        return self._room.using(model, partial(self._announce, model.name))

    def _catalogue(self, roles: frozenset[str] | None) -> Catalogue:
        allowed = [model for model in self.every if roles is None or self._rule(model.name).allows(roles)]
        allowed.sort(key=lambda model: not self._rule(model.name).is_default)  # the others stay in their order
        chains = self._shelf.chains if self._shelf is not None else {}
        return Catalogue(tuple(allowed), self._named_only(), chains)

    def _named_only(self) -> frozenset[str]:
        """Models that would have to be loaded, and those of providers: nothing goes there unless somebody says so."""
        names = {model.name for key, (_, model) in self._installed.items() if not self._rule(key).is_default}
        if self.providers is not None:
            elsewhere = {model.name for model in self.providers.models if not self._rule(model.name).is_default}
            names |= elsewhere - {model.name for model in self._configured.models}
        return frozenset(names)

    def _is_known(self, name: str | None) -> bool:
        return name is None or name in self._names

    def _rule(self, name: str) -> ModelRule:
        return self._rules.get(name.lower()) or ModelRule(name=name)

    async def _follow(self, context: Context) -> None:
        while True:
            self._wake.clear()
            wait_s = _LOOK_S
            try:
                await self._refresh(context)
            except FiresideError as error:
                log.info("model_rules_not_read", code=error.code)
                wait_s = _RETRY_S
            else:
                await self._load_again()
            await self._room.tidy()
            await self._warm_start.note(model.name.lower() for model in self._room.by_use())
            await wait_at_most(self._wake, wait_s)

    async def _refresh(self, context: Context) -> None:
        async with self._changing:
            asking = context.with_identity(service_identity("inference"))
            shelf = await asking.call(SHELF, Nothing())
            self._rules = {rule.name.lower(): rule for rule in shelf.rules}
            self._shelf = shelf
            self._take_over(shelf)
            for connected in self.providers.take_over(shelf.providers) if self.providers is not None else ():
                self._tasks.run(retire(connected))
            self._names = frozenset(model.name for model in self.every)
            self._catalogues.clear()
            await self._choose()

    def _take_over(self, shelf: Shelf) -> None:
        """Know what is installed now; what is gone, or another file by now, ends once nobody uses it."""
        assert self._make is not None  # noqa: S101 - only then is there a shelf to look at; narrows the type
        configured = {model.name.lower() for model in self._configured.models}
        there = {model.name.lower(): model for model in shelf.installed if model.name.lower() not in configured}
        for key, (known, model) in list(self._installed.items()):
            if there.get(key) != known:
                del self._installed[key]
                self._tasks.run(self._retire(model))
        for key, model in there.items():
            if key not in self._installed:
                self._installed[key] = (model, self._make(model))

    async def _choose(self) -> None:
        """Keep the installed models that are pinned or the default, the default first; others may be unloaded."""
        rules = {key: self._rule(key) for key in self._installed}
        kept = [key for key, rule in rules.items() if rule.enabled and (rule.is_default or rule.run.pinned)]
        for key, rule in rules.items():
            care = Care(kept=key in kept, keep_alive_s=rule.run.keep_alive_s, rank=_RANKS[rule.run.priority])
            self._room.treat(self._installed[key][1], care)
        for key in sorted(kept, key=lambda key: not rules[key].is_default):
            await self._try_to_load(self._installed[key][1])

    async def _load_again(self) -> None:
        """Load what was loaded before the start, as far as there is memory; once."""
        keys, self._warm_start.loaded = self._warm_start.loaded, []
        for key in keys:
            _, model = self._installed.get(key, (None, None))
            if model is not None and self._rule(key).enabled and self._room.has_space(model):
                await self._try_to_load(model)

    async def _try_to_load(self, model: ServedModel) -> None:
        try:
            await self.load(model)
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


def _roles_of(identity: Identity) -> frozenset[str] | None:
    """What decides which models somebody may use; None for parts of Fireside, which may use all."""
    return None if identity.is_service and identity.user_id is None else identity.roles
