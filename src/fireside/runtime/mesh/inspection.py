"""The `$node` service: what this node is and sees, for the admin service, operators and Moleculer's own tools."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from fireside.contracts import node as contracts
from fireside.contracts.base import Action, Nothing, ResponseT
from fireside.contracts.node import CheckView, Cluster, ClusterNode, HealthView, NodeView, OfferView
from fireside.core.clock import Clock
from fireside.core.errors import FiresideError
from fireside.runtime.context import Context
from fireside.runtime.health import Health
from fireside.runtime.mesh.packets import FIRESIDE, ServiceInfo
from fireside.runtime.mesh.registry import Registry
from fireside.runtime.mesh.service import Service, action


class Inspected(Protocol):
    """The node that is looked at."""

    @property
    def node_id(self) -> str:
        """Its name."""
        ...

    @property
    def clock(self) -> Clock:
        """Its clock."""
        ...

    @property
    def registry(self) -> Registry:
        """The others it sees."""
        ...

    def describe(self) -> Sequence[ServiceInfo]:
        """What it offers."""
        ...

    async def health(self) -> Health:
        """How well it is."""
        ...

    async def ask(
        self,
        node_id: str,
        action: Action[Any, ResponseT],
        request: Any,
        *,
        context: Context | None = None,
    ) -> ResponseT:
        """Call an action of one certain node."""
        ...


class NodeService(Service):
    """Answers for one node."""

    name = "$node"

    def __init__(self, node: Inspected) -> None:
        self._node = node

    @action(contracts.LIST)
    async def list_nodes(self, context: Context, request: Nothing) -> tuple[NodeView, ...]:
        """The nodes that this one sees, itself first."""
        del context, request
        now = self._node.clock.monotonic()
        here = NodeView(
            id=self._node.node_id,
            local=True,
            trusted=True,
            client=FIRESIDE,
            services=tuple(service.name for service in self._node.describe()),
            last_seen_s=0.0,
        )
        others = (
            NodeView(
                id=node.node_id,
                local=False,
                trusted=node.trusted,
                client=str(node.info.client.get("type", "")),
                services=tuple(service.full_name or service.name for service in node.info.services),
                last_seen_s=round(now - node.last_seen, 3),
                cpu=node.cpu,
                latency_ms=None if node.latency_s is None else round(node.latency_s * 1000, 3),
            )
            for node in self._node.registry.nodes
        )
        return (here, *others)

    @action(contracts.SERVICES)
    async def list_services(self, context: Context, request: Nothing) -> tuple[OfferView, ...]:
        """The services of all nodes."""
        del context, request
        return _by_name((service.full_name or service.name, node_id) for node_id, service in self._services())

    @action(contracts.ACTIONS)
    async def list_actions(self, context: Context, request: Nothing) -> tuple[OfferView, ...]:
        """The actions of all nodes."""
        del context, request
        return _by_name(
            (name, node_id)
            for node_id, service in self._services()
            for name in service.actions
            if not name.startswith("$")
        )

    @action(contracts.EVENTS)
    async def list_events(self, context: Context, request: Nothing) -> tuple[OfferView, ...]:
        """The events that any node listens to."""
        del context, request
        return _by_name((name, node_id) for node_id, service in self._services() for name in service.events)

    @action(contracts.HEALTH)
    async def tell_health(self, context: Context, request: Nothing) -> HealthView:
        """How well this node is."""
        del context, request
        health = await self._node.health()
        checks = tuple(
            CheckView(name=name, status=check.status, detail=check.detail, latency_ms=check.latency_ms)
            for name, check in sorted(health.checks.items())
        )
        return HealthView(node=self._node.node_id, status=health.status, checks=checks)

    @action(contracts.CLUSTER)
    async def tell_cluster(self, context: Context, request: Nothing) -> Cluster:
        """How well every node is."""
        views = await self.list_nodes(context, request)
        return Cluster(nodes=tuple(await asyncio.gather(*(self._looked_at(context, view) for view in views))))

    async def _looked_at(self, context: Context, view: NodeView) -> ClusterNode:
        seen = view.model_dump()
        if not view.trusted or view.client != FIRESIDE:
            offered = (name for node_id, service in self._services() if node_id == view.id for name in service.actions)
            return ClusterNode(**seen, status="ok", actions=tuple(name for name in offered if not name.startswith("$")))
        try:
            health = await self._node.ask(view.id, contracts.HEALTH, Nothing(), context=context)
        except FiresideError as error:
            silent = CheckView(name="node", status="failed", detail=error.message)
            return ClusterNode(**seen, status="failed", checks=(silent,))
        return ClusterNode(**seen, status=health.status, checks=health.checks)

    def _services(self) -> Iterable[tuple[str, ServiceInfo]]:
        for service in self._node.describe():
            yield self._node.node_id, service
        for node in self._node.registry.nodes:
            for service in node.info.services:
                yield node.node_id, service


def _by_name(pairs: Iterable[tuple[str, str]]) -> tuple[OfferView, ...]:
    nodes: dict[str, set[str]] = defaultdict(set)
    for name, node_id in pairs:
        nodes[name].add(node_id)
    return tuple(OfferView(name=name, nodes=tuple(sorted(nodes[name]))) for name in sorted(nodes))
