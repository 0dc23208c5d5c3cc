"""Calls and streams to other nodes: choosing the node, and another where one refuses or is lost."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog

from fireside.contracts.base import Action, StreamAction
from fireside.core.errors import FiresideError
from fireside.runtime.context import Context
from fireside.runtime.errors import ActionUnavailableError, was_refused
from fireside.runtime.mesh.balancing import Balancer
from fireside.runtime.mesh.exchange import Exchange
from fireside.runtime.mesh.registry import Registry, RemoteNode
from fireside.runtime.middleware.base import (
    AnyAction,
    Handler,
    Middleware,
    Place,
    StreamHandler,
    Target,
    wrap_all,
    wrap_stream_all,
)

log = structlog.stdlib.get_logger(__name__)


WaitForOffer = Callable[[str], Awaitable[bool]]
"""Waits for another node to offer an action that one has just ceased to offer; whether that is worth a new look."""


@dataclass(slots=True)
class Outgoing:
    """A request on its way out, the one node it is meant for if any, and the nodes where it has failed."""

    request: Any
    node_id: str | None = None
    avoid: frozenset[str] = frozenset()


class OutgoingCalls:
    """The callers' side of the mesh."""

    def __init__(
        self,
        exchange: Exchange,
        *,
        registry: Registry,
        balancer: Balancer,
        middlewares: Sequence[Middleware],
        wait_for_offer: WaitForOffer,
    ) -> None:
        self._exchange, self._registry, self._balancer = exchange, registry, balancer
        self._wait_for_offer = wait_for_offer
        self._middlewares = middlewares
        self._senders: dict[str, tuple[AnyAction, Any]] = {}
        self._endpoints: dict[tuple[str, str], tuple[AnyAction, RemoteNode, Any]] = {}

    def offers(self, action: str) -> bool:
        """Whether another node offers the action."""
        return bool(self._registry.offering(action))

    def call(
        self, context: Context, action: Action[Any, Any], request: Any, *, node_id: str | None = None
    ) -> Coroutine[Any, Any, Any]:
        """Call an action of another node, and others when the first refuses or is lost.

        Args:
            context: Of the call.
            action: What to call.
            request: With what.
            node_id: Call this node and no other, whatever it is known to offer.

        Raises:
            ActionUnavailableError: No other node offers it, or the one that it is meant for is not there.
        """
        handler = self._sender(action)
        return handler(context, Outgoing(request, node_id))

    def stream(self, context: Context, action: StreamAction[Any, Any], request: Any) -> AsyncGenerator[Any, None]:
        """Call a stream action of another node."""
        handler: StreamHandler = self._sender(action)
        return handler(context, Outgoing(request))

    def node_lost(self, node_id: str) -> None:
        """Fail what waits for a node that has gone, so that it can be tried elsewhere."""
        self._exchange.node_lost(node_id)
        for key in [key for key in self._endpoints if key[0] == node_id]:
            del self._endpoints[key]

    def _sender(self, action: AnyAction) -> Any:
        known = self._senders.get(action.name)
        if known is not None and known[0] is action:
            return known[1]
        target = Target(action, Place.SEND)
        if isinstance(action, StreamAction):
            sender: Any = wrap_stream_all(self._middlewares, target, partial(self._route_stream, action))
        else:
            sender = wrap_all(self._middlewares, target, partial(self._route, action))
        self._senders[action.name] = (action, sender)
        return sender

    async def _route(self, action: Action[Any, Any], context: Context, outgoing: Outgoing) -> Any:
        while True:
            node = self._choose(action, outgoing) or await self._await_offer(action, outgoing)
            endpoint: Handler = self._endpoint(node, action)
            try:
                return await endpoint(context, outgoing.request)
            except FiresideError as error:
                self._move_on_or_raise(error, action, context, node=node, outgoing=outgoing)

    async def _route_stream(
        self, action: StreamAction[Any, Any], context: Context, outgoing: Outgoing
    ) -> AsyncGenerator[Any, None]:
        while True:
            node = self._choose(action, outgoing) or await self._await_offer(action, outgoing)
            endpoint: StreamHandler = self._endpoint(node, action)
            delivered = False
            try:
                async with aclosing(endpoint(context, outgoing.request)) as items:
                    async for item in items:
                        delivered = True
                        yield item
                return
            except FiresideError as error:
                if delivered:
                    raise
                self._move_on_or_raise(error, action, context, node=node, outgoing=outgoing)

    async def _await_offer(self, action: AnyAction, outgoing: Outgoing) -> RemoteNode:
        if outgoing.node_id is not None:
            raise ActionUnavailableError(f"no node is called {outgoing.node_id}", action=action.name)
        node = self._choose(action, outgoing) if await self._wait_for_offer(action.name) else None
        if node is None:
            raise ActionUnavailableError(f"no node offers {action.name}", action=action.name)
        return node

    def _choose(self, action: AnyAction, outgoing: Outgoing) -> RemoteNode | None:
        """The node to ask next; None when there is none at the moment."""
        if outgoing.node_id is not None:
            return self._registry.find(outgoing.node_id)
        offering = self._registry.offering(action.name)
        if len(offering) == 1:
            return offering[0]
        nodes = {node.node_id: node for node in offering if node.node_id not in outgoing.avoid}
        if not nodes:
            outgoing.avoid = frozenset()  # all have failed once: begin again, where a retry asks for it
            nodes = {node.node_id: node for node in offering}
        if not nodes:
            return None
        return nodes[self._balancer.choose(action.name, tuple(nodes), outgoing.request)]

    def _move_on_or_raise(
        self, error: FiresideError, action: AnyAction, context: Context, *, node: RemoteNode, outgoing: Outgoing
    ) -> None:
        """Pass quietly when another node should be asked because this one refused."""
        outgoing.avoid |= {node.node_id}
        offering = self._registry.offering(action.name) if outgoing.node_id is None else ()
        others = any(other.node_id not in outgoing.avoid for other in offering)
        if not (others and was_refused(error, action.name) and context.body is None):
            raise error

    def _endpoint(self, node: RemoteNode, action: AnyAction) -> Any:
        key = (node.node_id, action.name)
        known = self._endpoints.get(key)
        if known is not None and known[0] is action and known[1] is node:
            return known[2]
        target = Target(action, Place.ENDPOINT, node.node_id)
        if isinstance(action, StreamAction):
            endpoint: Any = wrap_stream_all(self._middlewares, target, partial(self._exchange.stream, node, action))
        else:
            endpoint = wrap_all(self._middlewares, target, partial(self._exchange.call, node, action))
        self._endpoints[key] = (action, node, endpoint)
        return endpoint
