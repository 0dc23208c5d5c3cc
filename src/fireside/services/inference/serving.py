"""Which models are served right now, and for whom: those of the settings, and the installed one that was chosen."""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial

import structlog

from fireside.contracts.base import Nothing
from fireside.contracts.explore import SHELF, InstalledModel, ModelRule, Shelf
from fireside.contracts.inference import ModelReady
from fireside.core.errors import FiresideError
from fireside.core.identity import Identity, service_identity
from fireside.runtime.context import Context
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

    def __init__(self, configured: Catalogue, make_installed: MakeInstalled | None) -> None:
        """Serve the models of the settings, and what `make_installed` makes of the installed model that is chosen."""
        self._configured, self._make = configured, make_installed
        self._shelf: Shelf | None = None
        self._rules: Mapping[str, ModelRule] = {}
        self._chosen: tuple[InstalledModel, ServedModel] | None = None
        self._wake = asyncio.Event()
        self._in_use: Counter[int] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self._changing = asyncio.Lock()
        self.seen: dict[str, Seen] = {}

    @property
    def every(self) -> tuple[ServedModel, ...]:
        """All models, the chosen one first."""
        return (*([self._chosen[1]] if self._chosen else []), *self._configured.models)

    async def start(self, context: Context) -> None:
        """Begin to load engines, and to follow what is said about models."""
        for model in self._configured.models:
            await self._start(context, model)
        if self._make is not None:
            self._spawn(self._follow(context))

    async def stop(self) -> None:
        """Stop engines and let go of connections."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for model in self.every:
            await _close(model)

    def look_again(self) -> None:
        """Something changed."""
        self._wake.set()

    async def for_caller(self, context: Context) -> Catalogue:
        """The models that the caller may use, the default first.

        Raises:
            UnavailableError: It is not known who may use what, because nobody tells.
        """
        if self._make is not None and self._shelf is None:
            await self._refresh(context)
        allowed = [model for model in self.every if self._may_use(context.identity, model.name)]
        allowed.sort(key=lambda model: not self._rule(model.name).is_default)  # the others stay in their order
        return Catalogue(tuple(allowed))

    @contextmanager
    def using(self, model: ServedModel) -> Generator[None]:
        """Keep a model from being unloaded meanwhile."""
        self._in_use[id(model)] += 1
        try:
            yield
        finally:
            self._in_use[id(model)] -= 1

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
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), wait_s)

    async def _refresh(self, context: Context) -> None:
        async with self._changing:
            asking = context.with_identity(service_identity("inference"))
            shelf = await asking.call(SHELF, Nothing())
            self._rules = {rule.name.lower(): rule for rule in shelf.rules}
            self._shelf = shelf
            await self._choose(context, shelf)

    async def _choose(self, context: Context, shelf: Shelf) -> None:
        """Load the installed model that is the default, and unload the one that was."""
        default = next((rule.name.lower() for rule in shelf.rules if rule.is_default and rule.enabled), None)
        configured = {model.name.lower() for model in self._configured.models}
        wanted = next((model for model in shelf.installed if model.name.lower() == default), None)
        if wanted is not None and wanted.name.lower() in configured:
            wanted = None
        before = self._chosen
        if self._make is None or wanted == (before[0] if before else None):
            return
        self._chosen = (wanted, self._make(wanted)) if wanted else None
        if self._chosen is not None:
            await self._start(context.detached(), self._chosen[1])
        if before is not None:
            self._spawn(self._retire(before[1]))

    async def _retire(self, model: ServedModel) -> None:
        """Stop a model when those that it is answering have their answers."""
        try:
            async with asyncio.timeout(_DRAIN_S):
                while self._in_use[id(model)]:  # noqa: ASYNC110 - whoever ends tells nobody
                    await asyncio.sleep(_DRAIN_LOOK_S)
        except TimeoutError:
            log.info("model_stopped_in_use", model=model.name)
        finally:
            await _close(model)

    async def _start(self, context: Context, model: ServedModel) -> None:
        if model.engine is not None:
            await model.engine.start(partial(self._announce, context, model.name))

    def _announce(self, context: Context, name: str) -> None:
        self._spawn(context.broadcast(ModelReady(name=name)))

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _close(model: ServedModel) -> None:
    await model.server.close()
    if model.engine is not None:
        await model.engine.stop()
