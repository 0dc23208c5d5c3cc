"""The services of one node and the chains around their actions."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from inspect import isasyncgenfunction
from typing import Any

from fireside.contracts.base import StreamAction
from fireside.core.errors import ConflictError
from fireside.runtime.context import Context
from fireside.runtime.mesh.incoming import IncomingCalls
from fireside.runtime.mesh.packets import Offer, ServiceInfo
from fireside.runtime.mesh.service import AnyAction, FallbackFor, OnSignal, Service, marked
from fireside.runtime.mesh.signals import Signals
from fireside.runtime.middleware.base import (
    Handler,
    Middleware,
    Place,
    StreamHandler,
    Target,
    wrap_all,
    wrap_stream_all,
)


class Hosting:
    """Registers services and builds each action's chains, once."""

    def __init__(
        self, node_id: str, *, middlewares: Sequence[Middleware], incoming: IncomingCalls, signals: Signals
    ) -> None:
        self._node_id, self._middlewares = node_id, middlewares
        self._incoming, self._signals = incoming, signals
        self.services: list[Service] = []
        self.actions: dict[str, Handler] = {}
        self.streams: dict[str, StreamHandler] = {}

    def add(self, service: Service) -> None:
        """Take a service in.

        Raises:
            ConflictError: An action of this name is already offered here, or is not named after the service.
        """
        fallbacks = {marker.action.name: method for marker, method in marked(service, FallbackFor)}
        for contract, method in service.offers():
            if contract.service != service.name:
                raise ConflictError(f"{contract.name} cannot be offered by the service {service.name!r}")
            if self.has(contract.name):
                raise ConflictError(f"{contract.name} is already offered on this node")
            self._offer(contract, method, fallbacks.get(contract.name))
        for marker, method in marked(service, OnSignal):
            self._signals.handle(service.name, marker.signal, method)
        self.services.append(service)

    def has(self, action: str) -> bool:
        """Whether an action is offered on this node."""
        return action in self.actions or action in self.streams

    def describe(self) -> Sequence[ServiceInfo]:
        """What the node offers, as it announces it."""
        listening = self._signals.topics
        return [
            ServiceInfo(
                name=service.name,
                full_name=service.name,
                actions={contract.name: Offer(name=contract.name) for contract, _ in service.offers()},
                events={
                    topic: Offer(name=topic, group=service.name)
                    for topic, groups in listening.items()
                    if service.name in groups
                },
            )
            for service in self.services
        ]

    def _offer(self, contract: AnyAction, method: Any, fallback: Callable[..., Any] | None) -> None:
        here = Target(contract, Place.LOCAL, self._node_id, fallback)
        from_afar = Target(contract, Place.SERVE, self._node_id, fallback)
        if isinstance(contract, StreamAction):
            generator = _as_generator(method)
            self.streams[contract.name] = wrap_stream_all(self._middlewares, here, generator)
            self._incoming.serve(contract, wrap_stream_all(self._middlewares, from_afar, generator))
        else:
            self.actions[contract.name] = wrap_all(self._middlewares, here, method)
            self._incoming.serve(contract, wrap_all(self._middlewares, from_afar, method))


def _as_generator(method: Callable[[Context, Any], AsyncIterator[Any]]) -> StreamHandler:
    """A method that gives any asynchronous iterator, as a generator that closes it."""
    if isasyncgenfunction(method):
        return method

    async def generator(context: Context, request: Any) -> AsyncGenerator[Any, None]:
        items = method(context, request)
        try:
            async for item in items:
                yield item
        finally:
            close = getattr(items, "aclose", None)
            if close is not None:
                await close()

    return generator
