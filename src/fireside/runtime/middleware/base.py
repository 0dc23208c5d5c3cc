"""What a middleware is: something that wraps the handler of an action, once, when the action is registered.

A call runs through one of four chains, each made from the same list of middlewares in the same order; a middleware
names the chains that it belongs to.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar

from fireside.contracts.base import Action, StreamAction
from fireside.runtime.context import Context

AnyAction = Action[Any, Any] | StreamAction[Any, Any]
Handler = Callable[[Context, Any], Awaitable[Any]]
StreamHandler = Callable[[Context, Any], AsyncGenerator[Any, None]]


class Place(Enum):
    """Where in a call's way a chain stands.

    LOCAL: the caller and the action are on this node; nothing is serialised.
    SERVE: the call came from another node. The request arrives as JSON bytes and leaves the chain as it came.
    SEND: the call leaves this node; which node it goes to is chosen inside.
    ENDPOINT: the part of SEND after a node was chosen; one chain for each node and action.
    """

    LOCAL = "local"
    SERVE = "serve"
    SEND = "send"
    ENDPOINT = "endpoint"


@dataclass(frozen=True, slots=True)
class Target:
    """What a chain is built for.

    Attributes:
        action: The contract.
        place: Which chain.
        node_id: The node that carries the action out; empty for SEND.
        fallback: What the service answers with when the action itself is unavailable:
            `(context, request, error) -> response`, or an asynchronous generator for a stream action.
    """

    action: AnyAction
    place: Place
    node_id: str = ""
    fallback: Callable[..., Any] | None = None


class Middleware:
    """Wraps handlers. Returning the handler itself leaves an action alone, at no cost per call."""

    places: ClassVar[frozenset[Place]]

    def wrap(self, target: Target, handler: Handler) -> Handler:
        """The handler of an action, with this middleware around it.

        It may raise when called or when awaited; whoever calls does both at once.
        """
        del target
        return handler

    def wrap_stream(self, target: Target, handler: StreamHandler) -> StreamHandler:
        """The handler of a stream action, with this middleware around it.

        It may raise when called or at its first item; whoever consumes a stream sees both alike.
        """
        del target
        return handler


def wrap_all(middlewares: Sequence[Middleware], target: Target, handler: Handler) -> Handler:
    """Put the middlewares of the target's place around the handler, the first outermost."""
    for middleware in reversed(middlewares):
        if target.place in middleware.places:
            handler = middleware.wrap(target, handler)
    return handler


def wrap_stream_all(middlewares: Sequence[Middleware], target: Target, handler: StreamHandler) -> StreamHandler:
    """Put the middlewares of the target's place around the handler of a stream, the first outermost."""
    for middleware in reversed(middlewares):
        if target.place in middleware.places:
            handler = middleware.wrap_stream(target, handler)
    return handler
