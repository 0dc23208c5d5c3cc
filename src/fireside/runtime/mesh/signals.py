"""Signals: to every handler on every node, or to one of each group; they may be lost, but they keep their order."""

import asyncio
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
from msgspec import Raw
from pydantic import ValidationError

from fireside.contracts.base import Signal
from fireside.core.identity import ANONYMOUS, Identity
from fireside.core.ids import new_id
from fireside.core.tasks import end
from fireside.ports.transporter import TransporterError
from fireside.runtime.context import Context, Dispatcher
from fireside.runtime.logging import current_call
from fireside.runtime.mesh.balancing import Balancer
from fireside.runtime.mesh.link import Link
from fireside.runtime.mesh.packets import EventPacket, object_in
from fireside.runtime.mesh.passes import SIGNALS, Passes
from fireside.runtime.mesh.registry import Registry, RemoteNode, allowed, fireside_part
from fireside.runtime.metrics import Metrics

log = structlog.stdlib.get_logger(__name__)

SignalMethod = Callable[[Context, Any], Awaitable[None]]


@dataclass(frozen=True)
class SignalSurroundings:
    """What signals work with."""

    link: Link
    registry: Registry
    balancer: Balancer
    passes: Passes
    metrics: Metrics
    mailbox_size: int
    foreign_events: Sequence[str]


@dataclass
class _Handler:
    """A handler and the signals that wait for it."""

    group: str
    signal: type[Signal]
    method: SignalMethod
    mailbox: deque[tuple[Context, Signal]] = field(default_factory=deque[tuple[Context, Signal]])
    worker: "asyncio.Task[None] | None" = None


class Signals:
    """Sends signals and hands those that arrive to their handlers, one after another for each handler."""

    def __init__(self, around: SignalSurroundings, dispatcher: Dispatcher) -> None:
        self._around, self._dispatcher = around, dispatcher
        self._handlers: dict[str, list[_Handler]] = defaultdict(list)
        self._notes: dict[str, Callable[[EventPacket], None]] = {}
        around.link.on(EventPacket, self._take)

    @property
    def topics(self) -> Mapping[str, Collection[str]]:
        """The groups on this node that listen, by topic."""
        return {topic: {handler.group for handler in handlers} for topic, handlers in self._handlers.items()}

    def handle(self, group: str, signal: type[Signal], method: SignalMethod) -> None:
        """Run a method of the service `group` for every such signal."""
        self._handlers[signal.topic].append(_Handler(group, signal, method))

    def on_note(self, event: str, take: Callable[[EventPacket], None]) -> None:
        """Have notes between nodes, which are no signals, taken by a function."""
        self._notes[event] = take

    async def broadcast(self, context: Context, signal: Signal) -> None:
        """Send a signal to every handler on every node."""
        self._deliver(context, signal, groups=None)
        nodes = {
            node.node_id: node for nodes in self._around.registry.listening(signal.topic).values() for node in nodes
        }
        for node in nodes.values():
            await self._send(context, signal, node=node, groups=None)

    async def emit(self, context: Context, signal: Signal, *, groups: Collection[str] | None = None) -> None:
        """Send a signal to one handler of each group, here where there is one.

        Args:
            context: The call that this is part of.
            signal: What to send.
            groups: Names of services; all that listen when None.
        """
        local = set(self.topics.get(signal.topic, ()))
        remote = self._around.registry.listening(signal.topic)
        wanted = local | set(remote) if groups is None else set(groups)
        if local & wanted:
            self._deliver(context, signal, groups=local & wanted)
        per_node: dict[str, list[str]] = defaultdict(list)
        for group in sorted(wanted - local):
            node_ids = [node.node_id for node in remote.get(group, ())]
            if node_ids:
                per_node[self._around.balancer.choose(f"{signal.topic}@{group}", node_ids)].append(group)
        for node_id, node_groups in per_node.items():
            node = self._around.registry.find(node_id)
            if node is not None:
                await self._send(context, signal, node=node, groups=node_groups)

    async def stop(self) -> None:
        """Drop what still waits and end the handlers."""
        workers = [
            handler.worker for handlers in self._handlers.values() for handler in handlers if handler.worker is not None
        ]
        await end(*workers)

    async def _send(self, context: Context, signal: Signal, *, node: RemoteNode, groups: Sequence[str] | None) -> None:
        packet = EventPacket(
            sender=self._around.link.node_id,
            ver=node.version,
            id=str(new_id()),
            event=signal.topic,
            data=Raw(signal.__pydantic_serializer__.to_json(signal)),
            groups=None if groups is None else list(groups),
            broadcast=groups is None,
            meta={"fireside": self._around.passes.for_call(context, SIGNALS)} if node.trusted else {},
            level=context.level,
            request_id=context.request_id,
            caller=context.action or None,
        )
        try:
            await self._around.link.send(packet, to=node.node_id)
        except TransporterError as error:
            log.debug("signal_not_sent", topic=signal.topic, node_id=node.node_id, detail=error.message)

    def _take(self, packet: EventPacket) -> None:
        note = self._notes.get(packet.event)
        if note is not None:
            note(packet)
            return
        handlers = self._handlers.get(packet.event)
        if not handlers:
            self._around.link.drop("unwanted_event")
            return
        part = fireside_part(packet.meta)
        identity = self._around.passes.find_identity(part, SIGNALS)
        if identity is None and not allowed(packet.event, self._around.foreign_events):
            self._around.link.drop("untrusted_event")
            return
        self._deliver_packet(packet, part, handlers[0].signal, identity=identity or ANONYMOUS)

    def _deliver_packet(
        self, packet: EventPacket, part: Mapping[str, Any], kind: type[Signal], *, identity: Identity
    ) -> None:
        try:
            signal = kind.model_validate_json(object_in(packet.data))
        except ValidationError as error:
            self._around.link.drop("malformed_event")
            log.warning("signal_malformed", topic=packet.event, sender=packet.sender, errors=error.error_count())
            return
        context = Context(
            self._dispatcher,
            request_id=packet.request_id or str(new_id()),
            identity=identity,
            caller=packet.caller or "",
            traceparent=str(part.get("traceparent", "")),
        )
        self._deliver(context, signal, groups=packet.groups)

    def _deliver(self, context: Context, signal: Signal, *, groups: Collection[str] | None) -> None:
        for handler in self._handlers.get(signal.topic, ()):
            if groups is None or handler.group in groups:
                if len(handler.mailbox) >= self._around.mailbox_size:
                    handler.mailbox.popleft()
                    self._around.metrics.signals_dropped.labels(signal.topic).inc()
                handler.mailbox.append((context.detached(), signal))
                if handler.worker is None or handler.worker.done():
                    handler.worker = asyncio.create_task(_empty_mailbox(handler))


async def _empty_mailbox(handler: _Handler) -> None:
    while handler.mailbox:
        context, signal = handler.mailbox.popleft()
        token = current_call.set(context)
        try:
            await handler.method(context, signal)
        except Exception:  # the outermost place that a handler's error reaches
            log.exception("signal_failed", topic=signal.topic, service=handler.group)
        finally:
            current_call.reset(token)
