"""A node: one process's part of the mesh. It hosts services and carries calls to wherever an action is offered."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from contextlib import aclosing
from typing import Any

import structlog

from fireside.contracts.base import Action, ResponseT, Signal, StreamAction
from fireside.core.clock import Clock
from fireside.core.errors import FiresideError
from fireside.core.identity import ANONYMOUS, Identity, service_identity
from fireside.core.ids import new_id, new_id_text
from fireside.ports.transporter import Transporter
from fireside.runtime.context import Context
from fireside.runtime.errors import was_refused
from fireside.runtime.health import Check, Health, collect
from fireside.runtime.mesh.balancing import Balancer
from fireside.runtime.mesh.control import CANCEL, TAKEN, CallNote, read_note
from fireside.runtime.mesh.discovery import Discovery, Surroundings
from fireside.runtime.mesh.exchange import Exchange
from fireside.runtime.mesh.hosting import Hosting
from fireside.runtime.mesh.incoming import IncomingCalls
from fireside.runtime.mesh.inspection import NodeService
from fireside.runtime.mesh.link import Link
from fireside.runtime.mesh.outgoing import OutgoingCalls
from fireside.runtime.mesh.packets import ServiceInfo
from fireside.runtime.mesh.passes import Passes
from fireside.runtime.mesh.registry import Registry
from fireside.runtime.mesh.service import AnyAction, Attachment, Service
from fireside.runtime.mesh.settings import MeshSettings
from fireside.runtime.mesh.signals import Signals, SignalSurroundings
from fireside.runtime.middleware.base import Handler, Middleware
from fireside.runtime.middleware.chain import Tools, make_chain

log = structlog.stdlib.get_logger(__name__)


class Node:
    """Hosts services and dispatches calls, streams and signals. Deadlines are in its clock's monotonic seconds."""

    def __init__(
        self,
        *,
        node_id: str,
        transporter: Transporter,
        settings: MeshSettings,
        tools: Tools | None = None,
        middlewares: Sequence[Middleware] | None = None,
    ) -> None:
        self.node_id, self.settings, self.tools = node_id, settings, tools or Tools()
        self.clock: Clock = self.tools.clock
        self._middlewares = make_chain(self.tools) if middlewares is None else tuple(middlewares)
        self._undo: list[tuple[str, Callable[[], Awaitable[None]]]] = []
        self._connect(transporter)
        self.add(NodeService(self))

    def _connect(self, transporter: Transporter) -> None:
        settings, metrics, clock = self.settings, self.tools.metrics, self.tools.clock
        link = Link(transporter, node_id=self.node_id, version=settings.protocol_version, metrics=metrics)
        passes = Passes(settings, clock)
        self.registry = Registry(
            clock, foreign_actions=settings.foreign_actions, foreign_events=settings.foreign_events
        )
        self._balancer = Balancer(settings, latency_s=self._latency_s)
        self._exchange = Exchange(link, passes=passes, window=settings.stream_window)
        self._outgoing = OutgoingCalls(
            self._exchange,
            registry=self.registry,
            balancer=self._balancer,
            middlewares=self._middlewares,
            wait_for_offer=lambda action: self._discovery.wait_for_offer(action),
        )
        self._incoming = IncomingCalls(link, dispatcher=self, passes=passes, tell=self._tell)
        self._signals = Signals(
            SignalSurroundings(
                link=link,
                registry=self.registry,
                balancer=self._balancer,
                passes=passes,
                metrics=metrics,
                mailbox_size=settings.signal_mailbox,
                foreign_events=settings.foreign_events,
            ),
            dispatcher=self,
        )
        self._hosting = Hosting(
            self.node_id, middlewares=self._middlewares, incoming=self._incoming, signals=self._signals
        )
        self._signals.on_note(CANCEL, lambda packet: self._incoming.cancel(packet.sender, read_note(packet.data)))
        self._signals.on_note(TAKEN, lambda packet: self._taken(packet.sender, read_note(packet.data)))
        around = Surroundings(link, self.registry, passes, settings, clock, metrics)
        self._discovery = Discovery(around, on_lost=self._node_lost)

    @property
    def services(self) -> Sequence[Service]:
        """The services that the node hosts, in the order they were added; the first is the node's own."""
        return tuple(self._hosting.services)

    def add(self, service: Service) -> None:
        """Host a service. Call it before `start`.

        Raises:
            ConflictError: An action of this name is already offered here, or is not named after the service.
        """
        self._hosting.add(service)

    def context(self, *, identity: Identity = ANONYMOUS, request_id: str | None = None) -> Context:
        """A root context, for those who start something: the gateway, jobs, tests."""
        return Context(self, request_id or new_id_text(), identity)

    async def start(self) -> None:
        """Join the mesh, open and start the services in order, offer them, then start what is attached to them.

        What had begun is stopped again when something fails.
        """
        try:
            await self._start()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Leave gracefully: take no more calls, finish those in progress, stop in reverse order. Safe to call twice."""
        while self._undo:
            name, undo = self._undo.pop()
            try:
                await undo()
            except Exception:  # the rest must still be stopped
                log.exception("stop_failed", part=name, node_id=self.node_id)

    async def wait_for(self, *actions: AnyAction, timeout_s: float) -> bool:
        """Wait until another node or this one offers all of these actions; whether that was so in time."""
        return await self.wait_until(lambda: all(self.offering(item.name) for item in actions), timeout_s=timeout_s)

    async def wait_until(self, holds: Callable[[], bool], *, timeout_s: float) -> bool:
        """Wait for something to become true of the registry; whether it did in time."""
        return await self._discovery.wait_until(holds, timeout_s=timeout_s)

    async def ping(self, node_id: str, *, timeout_s: float = 5.0) -> float:
        """The round trip to another node, in seconds.

        Raises:
            DeadlineExceededError: It did not answer in time.
            TransporterError: The ping could not be sent.
        """
        return await self._discovery.ping(node_id, timeout_s=timeout_s)

    async def health(self) -> Health:
        """How well the services are, and the link to the other nodes."""
        sources = {service.name: service.health for service in self._hosting.services}
        own = {"mesh": self._check_link} | ({} if self.tools.cache is None else {"cache": self._check_cache})
        return await collect({**own, **sources})

    def describe(self) -> Sequence[ServiceInfo]:
        """What the node offers, as it announces it."""
        return self._hosting.describe()

    def dispatch(
        self, context: Context, action: Action[Any, Any], request: Any, *, timeout_s: float | None
    ) -> Coroutine[Any, Any, Any]:
        """Call an action. See Context.call."""
        inner = context.for_call(action, timeout_s)
        local = self._hosting.actions.get(action.name)
        if local is None or self._goes_elsewhere(action.name, request):
            return self._outgoing.call(inner, action, request)
        return self._call_here_or_elsewhere(local, inner, action, request)

    async def ask(
        self, node_id: str, action: Action[Any, ResponseT], request: Any, *, context: Context | None = None
    ) -> ResponseT:
        """Call an action of one certain node, such as those of `$node`, which every node answers for itself.

        Args as for Context.call; the node asks in its own name when there is no context.

        Raises:
            ActionUnavailableError: The node is not there, or does not offer the action.
        """
        asking = context or Context(self, str(new_id()), service_identity("$node"))
        inner, local = asking.for_call(action, None), self._hosting.actions.get(action.name)
        if local is not None and node_id == self.node_id:
            return await local(inner, request)
        return await self._outgoing.call(inner, action, request, node_id=node_id)

    def offering(self, action: str) -> Sequence[str]:
        """The nodes that offer an action, this one first."""
        here = (self.node_id,) if self._hosting.has(action) else ()
        return (*here, *(node.node_id for node in self.registry.offering(action)))

    def dispatch_stream(
        self, context: Context, action: StreamAction[Any, Any], request: Any, *, timeout_s: float | None
    ) -> AsyncGenerator[Any, None]:
        """Call a stream action. See Context.stream."""
        inner = context.for_call(action, timeout_s)
        local = self._hosting.streams.get(action.name)
        if local is None or self._goes_elsewhere(action.name, request):
            return self._outgoing.stream(inner, action, request)
        if not self._outgoing.offers(action.name):
            return local(inner, request)
        return self._stream_here_or_elsewhere(inner, action, request)

    async def broadcast(self, context: Context, signal: Signal) -> None:
        """Send a signal to every handler on every node. See Context.broadcast."""
        await self._signals.broadcast(context, signal)

    async def emit(self, context: Context, signal: Signal, *, groups: Collection[str] | None = None) -> None:
        """Send a signal to one handler of each group. See Context.emit."""
        await self._signals.emit(context, signal, groups=groups)

    async def _call_here_or_elsewhere(
        self, local: Handler, context: Context, action: Action[Any, Any], request: Any
    ) -> Any:
        try:
            return await local(context, request)
        except FiresideError as error:
            if not was_refused(error, action.name) or not self._outgoing.offers(action.name):
                raise
        return await self._outgoing.call(context, action, request)

    async def _stream_here_or_elsewhere(
        self, context: Context, action: StreamAction[Any, Any], request: Any
    ) -> AsyncGenerator[Any, None]:
        try:
            async with aclosing(self._hosting.streams[action.name](context, request)) as items:
                async for item in items:
                    yield item
            return
        except FiresideError as error:
            if not was_refused(error, action.name):
                raise
        async with aclosing(self._outgoing.stream(context, action, request)) as items:
            async for item in items:
                yield item

    async def _start(self) -> None:
        self._undo.append(("mesh", self._leave))
        await self._discovery.start()
        for service in self._hosting.services:
            self._undo.append((service.name, service.close))
            await service.open()
        self._undo.append(("signals", self._signals.stop))
        for service in self._hosting.services:
            self._undo.append((service.name, service.stop))
            await service.start(self._service_context(service))
        self._undo.append(("calls", self._finish))
        await self._discovery.announce(self.describe())
        for service in self._hosting.services:
            for attachment in service.attachments():
                await self._attach(service, attachment)
        self._undo.append(("announcement", self._take_back))

    async def _attach(self, service: Service, attachment: Attachment) -> None:
        self._undo.append((f"{service.name} attachment", attachment.stop))
        await attachment.start(self._service_context(service))

    async def _take_back(self) -> None:
        await self._discovery.announce(())

    async def _finish(self) -> None:
        await self._incoming.drain(self.settings.stop_timeout_s)

    async def _leave(self) -> None:
        await self._exchange.aclose()
        await self._discovery.stop()

    def _goes_elsewhere(self, action: str, request: Any) -> bool:
        """Whether an action that is offered here shall be carried out by another node all the same."""
        sharded = self._balancer.is_sharded(action)
        if self.settings.prefer_local and not sharded:
            return False
        turn = action if sharded else f"{action} here"
        return self._balancer.choose(turn, sorted(self.offering(action)), request) != self.node_id

    def _latency_s(self, node_id: str) -> float | None:
        node = self.registry.find(node_id)
        return None if node is None else node.latency_s

    def _node_lost(self, node_id: str) -> None:
        self._outgoing.node_lost(node_id)
        self._incoming.node_lost(node_id)

    def _tell(self, node_id: str, event: str, note: CallNote) -> None:
        node = self.registry.find(node_id)
        if node is not None:
            self._exchange.tell(node, event, note)

    def _taken(self, sender: str, note: CallNote) -> None:
        self._incoming.taken(sender, note)
        self._exchange.taken(sender, note)

    async def _check_link(self) -> Mapping[str, Check]:
        alone = Check("degraded", "not connected: this node works alone")
        return {"transporter": Check("ok") if self._discovery.connected else alone}

    async def _check_cache(self) -> Mapping[str, Check]:
        return {} if self.tools.cache is None else {"store": await self.tools.cache.check()}

    def _service_context(self, service: Service) -> Context:
        return Context(self, str(new_id()), service_identity(service.name), action=service.name)
