"""What Fireside needs of an engine that runs a model on this machine and serves it on a loopback port."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

EngineState = Literal["stopped", "loading", "ready", "failed"]


@dataclass(frozen=True, slots=True)
class EngineAddress:
    """Where a ready engine listens, and the key that only its owner knows."""

    base_url: str
    api_key: str


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """What the engine is doing; `detail` says why when it is not ready, `restarts` counts crashes survived."""

    state: EngineState
    detail: str = ""
    restarts: int = 0
    pid: int | None = None


class ModelEngine(Protocol):
    """One model in a process of its own, started again when it crashes or hangs."""

    @property
    def status(self) -> EngineStatus:
        """The present state, without waiting."""
        ...

    async def start(self, on_ready: Callable[[], None]) -> None:
        """Begin loading; returns at once.

        Args:
            on_ready: Called each time that it has become ready: once, and after every restart.
        """
        ...

    async def address(self, *, timeout_s: float) -> EngineAddress:
        """Where to send requests, waiting while it loads.

        Raises:
            UnavailableError: It is not ready within the time, has failed for good, or was never started.
        """
        ...

    async def stop(self) -> None:
        """End the process; no orphan stays behind, even when the owner was killed."""
        ...
