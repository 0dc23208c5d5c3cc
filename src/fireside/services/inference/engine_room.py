"""Engines that are loaded when they are asked for, and unloaded when others need their memory or nobody needs them."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass

import structlog

from fireside.core.clock import Clock
from fireside.runtime.errors import OverloadedError
from fireside.services.inference.errors import TooLargeForBudgetError
from fireside.services.inference.model import ServedModel

log = structlog.stdlib.get_logger(__name__)

_COME_BACK_S = 10


@dataclass(frozen=True, slots=True)
class Care:
    """How a model is treated.

    Attributes:
        kept: It stays, once it is loaded.
        keep_alive_s: How long it stays without being used; None for as long as others.
        rank: Of those that may make room, the lowest do first.
    """

    kept: bool = False
    keep_alive_s: float | None = None
    rank: int = 0


_USUAL = Care()
_ELSEWHERE = nullcontext()
"""How a model is used that has no engine here."""


@dataclass(eq=False, slots=True)
class Loaded:
    """An engine that takes memory.

    Attributes:
        model: Whose it is.
        used_at: When a request last came or went, in seconds of the monotonic clock.
        requests: How many it is answering or is about to.
    """

    model: ServedModel
    used_at: float
    requests: int = 0


class EngineRoom:
    """The engines of this node within a budget of memory.

    Whoever asks for a model has it loaded; for that, models that nobody uses are unloaded, those first that were used
    longest ago, of the lowest rank. Models that are kept stay. What answers a request is never unloaded.
    """

    def __init__(self, *, budget_bytes: int | None, keep_alive_s: float, clock: Clock) -> None:
        """Prepare.

        Args:
            budget_bytes: Memory for all engines together; None for any.
            keep_alive_s: How long a model stays that nobody uses.
            clock: Tells how long that is.
        """
        self._budget_bytes = budget_bytes
        self._keep_alive_s = keep_alive_s
        self._clock = clock
        self._loaded: dict[int, Loaded] = {}
        self._cares: dict[int, Care] = {}
        self._changing = asyncio.Lock()
        self.on_change: Callable[[], None] = lambda: None
        """Called when a model was loaded or unloaded."""

    @property
    def used_bytes(self) -> int:
        """Memory that the loaded models are counted with."""
        return sum(loaded.model.memory_bytes for loaded in self._loaded.values())

    def has(self, model: ServedModel) -> bool:
        """Whether a model is loaded, or is to be whenever there is memory."""
        return id(model) in self._loaded or self._care(model).kept

    def is_loaded(self, model: ServedModel) -> bool:
        """Whether a model takes memory."""
        return id(model) in self._loaded

    def by_use(self) -> list[ServedModel]:
        """What takes memory, used last first."""
        latest = sorted(self._loaded.values(), key=lambda loaded: -loaded.used_at)
        return [loaded.model for loaded in latest]

    def has_space(self, model: ServedModel) -> bool:
        """Whether a model can be loaded without another making room."""
        return self._budget_bytes is None or self.used_bytes + model.memory_bytes <= self._budget_bytes

    def treat(self, model: ServedModel, care: Care) -> None:
        """Treat a model so from now on."""
        self._cares[id(model)] = care

    def _care(self, model: ServedModel) -> Care:
        return self._cares.get(id(model), _USUAL)

    async def load(self, model: ServedModel, announce: Callable[[], None]) -> None:
        """Begin to load a model; raises as `using` does."""
        async with self._changing:
            await self._load(model, announce)

    def using(self, model: ServedModel, announce: Callable[[], None]) -> AbstractAsyncContextManager[None]:
        """Have a model loaded, or loading, and keep it so meanwhile. One without an engine here is always there.

        Args:
            model: Which.
            announce: Called when its engine has become ready, also after a crash.

        Raises:
            OverloadedError: Models that are in use take the memory that it needs.
            TooLargeForBudgetError: It needs more than there is for all.
        """
        return _ELSEWHERE if model.engine is None else self._used(model, announce)

    @asynccontextmanager
    async def _used(self, model: ServedModel, announce: Callable[[], None]) -> AsyncGenerator[None]:
        async with self._changing:
            loaded = await self._load(model, announce)
            loaded.requests += 1
        try:
            yield
        finally:
            loaded.requests -= 1
            loaded.used_at = self._clock.monotonic()

    async def drop(self, model: ServedModel) -> None:
        """Unload a model, whoever uses it."""
        async with self._changing:
            self._cares.pop(id(model), None)
            await self._unload(model)

    async def release(self, model: ServedModel) -> bool:
        """Unload a model, unless it is kept or used; says whether it takes no memory now."""
        async with self._changing:
            if loaded := next((idle for idle in self._idle() if idle.model is model), None):
                await self._unload(loaded.model)
            return not self.is_loaded(model)

    def is_used(self, model: ServedModel) -> bool:
        """Whether it is answering a request."""
        loaded = self._loaded.get(id(model))
        return loaded is not None and loaded.requests > 0

    async def tidy(self) -> None:
        """Unload what nobody has used for the time of keeping alive."""
        async with self._changing:
            now = self._clock.monotonic()
            for idle in self._idle():
                keep_alive_s = self._care(idle.model).keep_alive_s
                if now - idle.used_at >= (self._keep_alive_s if keep_alive_s is None else keep_alive_s):
                    await self._unload(idle.model)

    async def _load(self, model: ServedModel, announce: Callable[[], None]) -> Loaded:
        assert model.engine is not None  # noqa: S101 - of models elsewhere nothing is loaded; narrows the type
        loaded = self._loaded.get(id(model))
        if loaded is not None and model.engine.status.state == "failed" and not loaded.requests:
            await self._unload(model)
            loaded = None
        if loaded is None:
            await self._make_room(model)
            loaded = self._loaded[id(model)] = Loaded(model, self._clock.monotonic())
            log.info("model_loading", model=model.name, memory_bytes=model.memory_bytes)
            await model.engine.start(announce)
            self.on_change()
        return loaded

    async def _make_room(self, model: ServedModel) -> None:
        budget_bytes = self._budget_bytes
        if budget_bytes is None:
            return
        if model.memory_bytes > budget_bytes:
            raise TooLargeForBudgetError(
                f"{model.name} needs {_gigabytes(model.memory_bytes)} of memory, and "
                f"FIRESIDE_INFERENCE_MEMORY_BYTES allows {_gigabytes(budget_bytes)} for all models",
                model=model.name,
            )
        idle = self._idle()
        fixed_bytes = self.used_bytes - sum(loaded.model.memory_bytes for loaded in idle)
        if fixed_bytes + model.memory_bytes > budget_bytes:
            raise OverloadedError(
                f"{model.name} needs {_gigabytes(model.memory_bytes)} of memory; of {_gigabytes(budget_bytes)}, "
                f"{_gigabytes(fixed_bytes)} are taken by models that are in use or kept",
                model=model.name,
                retry_after_s=_COME_BACK_S,
            )
        for loaded in idle:
            if self.used_bytes + model.memory_bytes > budget_bytes:
                await self._unload(loaded.model)

    def _idle(self) -> list[Loaded]:
        """What may be unloaded: the lowest rank first, and in it what was used longest ago."""
        idle = [loaded for loaded in self._loaded.values() if not loaded.requests and not self._care(loaded.model).kept]
        return sorted(idle, key=lambda loaded: (self._care(loaded.model).rank, loaded.used_at))

    async def _unload(self, model: ServedModel) -> None:
        if self._loaded.pop(id(model), None) is not None and model.engine is not None:
            log.info("model_unloaded", model=model.name)
            try:
                await model.engine.stop()
            finally:
                self.on_change()


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB"
