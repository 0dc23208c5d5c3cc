"""Providers of models: what speaks to which kind, how one is connected, and those that stand in the settings."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from fireside.adapters.language_model.anthropic import AnthropicServer
from fireside.adapters.language_model.llama_server import LlamaServer
from fireside.adapters.language_model.model_server import Endpoint, ModelServer
from fireside.adapters.language_model.openai_compatible import AZURE, GEMINI, OpenAICompatibleServer
from fireside.contracts.providers import (
    ProviderKind,
    ProviderLimits,
    ProviderView,
    ServedProvider,
    key_place,
)
from fireside.core.clock import Clock
from fireside.ports.secret_box import SecretBox
from fireside.runtime.metrics import Metrics
from fireside.services.inference.fair_queue import FairQueue
from fireside.services.inference.guarded_server import GuardedServer
from fireside.services.inference.model import ServedModel
from fireside.services.inference.provider_line import ProviderLine
from fireside.services.inference.provider_record import ProviderRecord
from fireside.services.inference.provider_shelf import Connected, ProviderShelf
from fireside.services.inference.settings import InferenceSettings, ModelServerSettings

Locate = Callable[[], Awaitable[Endpoint]]

_AZURE_ROOT, _GEMINI_ROOT, _ROOT = "/openai/v1", "/v1beta/openai", "/v1"
_SHORTEST_SILENCE_S, _SLACK_S = 120.0, 5.0


class MakeServer(Protocol):
    """Makes what speaks to a server; see `ModelServer`."""

    def __call__(self, locate: Locate, *, read_timeout_s: float) -> ModelServer:
        """Where it is, and its longest silence."""
        ...


_SERVERS: dict[ProviderKind, MakeServer] = {
    "azure": partial(OpenAICompatibleServer, variant=AZURE),
    "gemini": partial(OpenAICompatibleServer, variant=GEMINI),
    "anthropic": AnthropicServer,
    "llama-server": LlamaServer,
}
"""What speaks to a kind of its own; all others speak OpenAI's API."""


@dataclass(frozen=True)
class Connector:
    """Connects providers.

    Attributes:
        settings: How many requests may wait for one.
        box: Opens their keys.
        clock: Measures.
        metrics: Where to count.
        node_id: Of this node.
    """

    settings: InferenceSettings
    box: SecretBox
    clock: Clock
    metrics: Metrics
    node_id: str = ""

    def connect(self, provider: ServedProvider) -> Connected:
        """Connect a provider that is kept.

        Raises:
            SecretUnreadableError: Its key cannot be opened on this node.
        """
        key = ""
        if provider.sealed_key:
            key = self.box.open(provider.sealed_key, place=key_place(provider.name)).decode()
        record = self._record(provider.name, provider, secrets=(key,))
        urls = [str(url) for url in provider.urls]
        lines = tuple(ProviderLine(record, url.rstrip("/") if len(urls) > 1 else "") for url in urls)
        servers = tuple(_server(provider, url, key) for url in urls)
        models = tuple(
            self._model(name, server, queue, line, provider)
            for server, queue, line in [
                (server, self._queue(provider.parallel), line) for server, line in zip(servers, lines, strict=True)
            ]
            for name in provider.models
        )
        return Connected(lines, servers, models)

    def connect_fixed(self) -> tuple[ProviderShelf, list[ServedModel]]:
        """Connect the providers of the settings."""
        fixed: dict[str, Connected] = {}
        shown: list[ProviderView] = []
        for server in self.settings.servers:
            name = _free_name(server.name or server.models[0], fixed)
            line = ProviderLine(self._record(name, _limits(server), secrets=(server.api_key.get_secret_value(),)))
            make = _SERVERS.get(server.api, OpenAICompatibleServer)
            connection = make(self._locate(server), read_timeout_s=_silence_s(_limits(server)))
            queue = self._queue(server.parallel)
            models = tuple(self._model(model, connection, queue, line, server) for model in server.models)
            fixed[name] = Connected((line,), (connection,), models)
            shown.append(_shown(name, server))
        served = [model for connected in fixed.values() for model in connected.models]
        return ProviderShelf(fixed, shown, self.connect, node_id=self.node_id), served

    def _locate(self, server: ModelServerSettings) -> Locate:
        key = server.api_key.get_secret_value()
        usual = Endpoint(str(server.url).rstrip("/"), key)

        async def locate() -> Endpoint:
            urls = self.settings.urls
            moved = next((urls[name] for name in (server.name, *server.models) if name in urls), None) if urls else None
            return usual if moved is None else Endpoint(str(moved).rstrip("/"), key)

        return locate

    def _record(self, name: str, limits: ProviderLimits, *, secrets: Sequence[str]) -> ProviderRecord:
        return ProviderRecord(name, limits=limits, clock=self.clock, metrics=self.metrics, secrets=secrets)

    def _queue(self, places: int | None) -> FairQueue:
        return FairQueue(places=places, most_waiting=self.settings.max_waiting, clock=self.clock)

    def _model(
        self,
        name: str,
        server: ModelServer,
        queue: FairQueue,
        line: ProviderLine,
        facts: ServedProvider | ModelServerSettings,
    ) -> ServedModel:
        return ServedModel(
            name=name,
            upstream_name=name,
            server=GuardedServer(server, line, name),
            queue=queue,
            answer_style=facts.answer_style,
            context_tokens=facts.context_tokens,
            line=line,
        )


def _server(provider: ServedProvider, url: str, key: str) -> ModelServer:
    """A server at an address, with or without the end that its API adds."""
    kind = provider.kind
    base_url = url.rstrip("/")
    for root in (_AZURE_ROOT, _GEMINI_ROOT, _ROOT):
        base_url = base_url.removesuffix(root) if root == _ROOT or kind in {"azure", "gemini"} else base_url

    async def locate() -> Endpoint:
        return Endpoint(base_url, key)

    return _SERVERS.get(kind, OpenAICompatibleServer)(locate, read_timeout_s=_silence_s(provider))


def _silence_s(limits: ProviderLimits) -> float:
    """How long a server may say nothing: as long as an answer in one piece may take, whose end comes with its time."""
    return max(_SHORTEST_SILENCE_S, limits.first_word_s, limits.answer_s) + _SLACK_S


def _shown(name: str, server: ModelServerSettings) -> ProviderView:
    kind: ProviderKind = "compatible" if server.api == "openai" else server.api
    return ProviderView.model_construct(
        name=name,
        kind=kind,
        urls=(server.url,),
        models=server.models,
        answer_style=server.answer_style,
        fixed=True,
        has_key=bool(server.api_key.get_secret_value()),
        **_limits(server).model_dump(),
    )


def _limits(server: ModelServerSettings) -> ProviderLimits:
    return ProviderLimits(
        parallel=server.parallel,
        first_word_s=server.first_word_s,
        answer_s=server.answer_s,
        context_tokens=server.context_tokens,
    )


def _free_name(wanted: str, taken: Iterable[str]) -> str:
    name, number = wanted, 1
    while name in taken:
        number += 1
        name = f"{wanted}-{number}"
    return name
