"""The providers that administrators manage: followed while everything runs, without ending what is being answered."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import structlog

from fireside.contracts.providers import ProviderHealth, ProviderView, ServedProvider
from fireside.core.errors import FiresideError
from fireside.ports.language_model import LanguageModelServer
from fireside.services.inference.model import ServedModel
from fireside.services.inference.provider_line import ProviderLine, health_of

log = structlog.stdlib.get_logger(__name__)

_DRAIN_LOOK_S = 0.1


@dataclass(frozen=True, slots=True)
class Connected:
    """A provider with a line and a server for each of its urls, and its models, one for each name and server."""

    lines: tuple[ProviderLine, ...]
    servers: tuple[LanguageModelServer, ...]
    models: tuple[ServedModel, ...]


MakeProvider = Callable[[ServedProvider], Connected]
"""Connects a provider.

Raises:
    SecretUnreadableError: Its key cannot be opened on this node.
"""


class ProviderShelf:
    """The providers of a node: those of its settings, and those that are kept."""

    def __init__(
        self, fixed: Mapping[str, Connected], shown: Sequence[ProviderView], make: MakeProvider, *, node_id: str = ""
    ) -> None:
        """Begin with the providers of the settings.

        Args:
            fixed: They, by name.
            shown: How they are shown.
            make: Connects the others.
            node_id: Of this node, for whoever reads how its providers do.
        """
        self._node_id = node_id
        self._fixed, self.shown, self.make = fixed, tuple(shown), make
        self._kept: dict[str, tuple[ServedProvider, Connected]] = {}
        self._broken: dict[str, tuple[ServedProvider, str]] = {}

    @property
    def models(self) -> tuple[ServedModel, ...]:
        """The models of the providers that are kept."""
        return tuple(model for _, connected in self._kept.values() for model in connected.models)

    def find_fixed(self, name: str) -> Connected | None:
        """The provider of that name in the settings."""
        return self._fixed.get(name)

    def take_over(self, providers: Sequence[ServedProvider]) -> list[Connected]:
        """Know these from now on; gives back what is no more asked, to be closed when nobody uses it any more."""
        there = {provider.name.lower(): provider for provider in providers if provider.enabled}
        gone = [key for key, (known, _) in self._kept.items() if there.get(key) != known]
        retired = [self._kept.pop(key)[1] for key in gone]
        self._broken = {key: known for key, known in self._broken.items() if there.get(key) == known[0]}
        for key, provider in there.items():
            if key not in self._kept and key not in self._broken:
                self._connect(key, provider)
        self._kept = {key: self._kept[key] for key in there if key in self._kept}
        return retired

    def _connect(self, key: str, provider: ServedProvider) -> None:
        try:
            self._kept[key] = (provider, self.make(provider))
        except FiresideError as error:
            log.warning("provider_not_connected", provider=provider.name, code=error.code)
            self._broken[key] = (provider, error.message)

    def health(self) -> tuple[ProviderHealth, ...]:
        """How all of them do."""
        connected = [*self._fixed.values(), *(kept for _, kept in self._kept.values())]
        broken = [
            ProviderHealth(name=provider.name, node_id=self._node_id, state="off", last_error=reason)
            for provider, reason in self._broken.values()
        ]
        return (*(health_of(one.lines, self._node_id) for one in connected), *broken)

    async def close(self) -> None:
        """Let go of all connections."""
        for _, connected in self._kept.values():
            await close(connected)


async def retire(connected: Connected) -> None:
    """Close a provider when its answers are at their end, at the latest when their time is over."""
    record = connected.lines[0].provider
    try:
        async with asyncio.timeout(record.limits.answer_s):
            while record.running:  # noqa: ASYNC110 - whoever ends tells nobody
                await asyncio.sleep(_DRAIN_LOOK_S)
    except TimeoutError:
        log.info("provider_closed_in_use", provider=record.name)
    finally:
        await close(connected)


async def close(connected: Connected) -> None:
    """Let go of the connections of a provider."""
    for server in connected.servers:
        await server.close()
