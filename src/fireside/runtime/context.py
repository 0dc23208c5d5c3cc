"""What travels with every call: who asks, under which request id, until when. Also the way to call on.

A context is never changed; calls, identities and deadlines that differ make a new one. Nothing here knows how a call
is carried out: the node that stands behind it does.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Collection, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from fireside.contracts.base import Action, RequestT, ResponseT, Signal, StreamAction
from fireside.core.clock import Clock
from fireside.core.errors import FiresideError
from fireside.core.identity import Identity, service_identity

AnyAction = Action[Any, Any] | StreamAction[Any, Any]


class Dispatcher(Protocol):
    """Carries calls out; a node is one."""

    @property
    def clock(self) -> Clock:
        """Tells how much of a deadline is left."""
        ...

    def dispatch(
        self, context: "Context", action: Action[Any, Any], request: Any, *, timeout_s: float | None
    ) -> Coroutine[Any, Any, Any]:
        """Call an action, wherever it is offered."""
        ...

    def offering(self, action: str) -> Sequence[str]:
        """The nodes that offer an action, this one first."""
        ...

    async def ask(
        self, node_id: str, action: Action[Any, ResponseT], request: Any, *, context: "Context | None"
    ) -> ResponseT:
        """Call an action of one certain node."""
        ...

    def dispatch_stream(
        self, context: "Context", action: StreamAction[Any, Any], request: Any, *, timeout_s: float | None
    ) -> AsyncGenerator[Any, None]:
        """Call a stream action, wherever it is offered."""
        ...

    async def broadcast(self, context: "Context", signal: Signal) -> None:
        """Send a signal to every handler on every node."""
        ...

    async def emit(self, context: "Context", signal: Signal, *, groups: Collection[str] | None) -> None:
        """Send a signal to one handler of each group."""
        ...


@dataclass(slots=True, eq=False)  # not frozen: one is made per call, and a frozen one takes three times as long to make
class Context:
    """The circumstances of one call.

    Attributes:
        request_id: The same for all that one outside request causes.
        identity: Who asks.
        caller: The action or part that made this call; empty at the root.
        action: The action that is being carried out; empty at the root.
        deadline: When the answer is no longer of use, in seconds of the node's monotonic clock; None never.
        item_timeout_s: Longest wait for the next item, where this is the call of a stream.
        traceparent: Where in a distributed trace this call stands (W3C Trace Context); empty outside a trace.
        level: How many calls deep, from 1.
        body: Bytes that came with the request, in pieces of any length; None when none did. To be read once.
        attached: Bytes that go with the calls made from here; see `with_body`.
    """

    dispatcher: Dispatcher = field(repr=False)
    request_id: str
    identity: Identity
    caller: str = ""
    action: str = ""
    deadline: float | None = None
    item_timeout_s: float | None = None
    traceparent: str = ""
    level: int = 1
    body: AsyncIterable[bytes] | None = None
    attached: AsyncIterable[bytes] | None = None

    @property
    def remaining_s(self) -> float | None:
        """Seconds until the deadline, 0 when it has passed; None without one."""
        if self.deadline is None:
            return None
        remaining_s = self.deadline - self.dispatcher.clock.monotonic()
        return remaining_s if remaining_s > 0 else 0.0

    def call(
        self, action: Action[RequestT, ResponseT], request: RequestT, *, timeout_s: float | None = None
    ) -> Coroutine[Any, Any, ResponseT]:
        """Call an action, on this node or another.

        Args:
            action: What to call.
            request: Handed over as it is when the action is offered here, else serialised.
            timeout_s: Longest wait; the action's own when None. Never longer than what is left of this deadline.

        Raises:
            FiresideError: Whatever the action raised, rebuilt when it ran on another node.
            UnavailableError: No node offers the action at the moment.
            DeadlineExceededError: The answer did not come in time.
        """
        return self.dispatcher.dispatch(self, action, request, timeout_s=timeout_s)

    async def call_each(
        self, action: Action[RequestT, ResponseT], request: RequestT
    ) -> dict[str, ResponseT | FiresideError]:
        """Call an action on every node that offers it, on all at once.

        Returns:
            What each answered, or the error that it failed with, by the node's id; this node first.
        """
        nodes = self.dispatcher.offering(action.name)
        return dict(
            zip(nodes, await asyncio.gather(*(self._ask(node, action, request) for node in nodes)), strict=True)
        )

    async def _ask(self, node_id: str, action: Action[Any, ResponseT], request: Any) -> ResponseT | FiresideError:
        try:
            return await self.dispatcher.ask(node_id, action, request, context=self)
        except FiresideError as error:
            return error

    def stream(
        self, action: StreamAction[RequestT, ResponseT], request: RequestT, *, timeout_s: float | None = None
    ) -> AsyncGenerator[ResponseT, None]:
        """Call a stream action, on this node or another, and receive its items as they come.

        Closing the generator, or cancelling the task that waits on it, stops the producer. Wrap it in
        `contextlib.aclosing` where the loop over it may end early.

        Args:
            action: What to call.
            request: Handed over as it is when the action is offered here, else serialised.
            timeout_s: Longest wait for the next item; the action's own when None.

        Raises:
            FiresideError: Whatever the action raised, after the items that came before it.
            UnavailableError: No node offers the action at the moment, or its node went away.
            DeadlineExceededError: The next item did not come in time.
        """
        return self.dispatcher.dispatch_stream(self, action, request, timeout_s=timeout_s)

    async def broadcast(self, signal: Signal) -> None:
        """Send a signal to every handler on every node. Returns once it is sent, not once it is handled."""
        await self.dispatcher.broadcast(self, signal)

    async def emit(self, signal: Signal, *, groups: Collection[str] | None = None) -> None:
        """Send a signal to one node of each group, this one where it can. Returns once it is sent.

        Args:
            signal: What to send.
            groups: Names of the services that shall have it; every service that listens when None.
        """
        await self.dispatcher.emit(self, signal, groups=groups)

    def for_call(self, action: AnyAction, timeout_s: float | None) -> "Context":
        """The context in which an action runs that is called from here.

        The deadline of a stream is this one's; that of a call comes sooner when its own wait is shorter.
        """
        wait_s = action.timeout_s if timeout_s is None else timeout_s
        deadline, item_timeout_s = self.deadline, None
        if isinstance(action, StreamAction):
            item_timeout_s = wait_s
        else:
            ends = self.dispatcher.clock.monotonic() + wait_s
            deadline = ends if deadline is None or ends < deadline else deadline
        return Context(
            self.dispatcher,
            self.request_id,
            self.identity,
            self.action,
            action.name,
            deadline,
            item_timeout_s,
            self.traceparent,
            self.level + 1,
            self.attached,
        )

    def with_body(self, body: AsyncIterable[bytes]) -> "Context":
        """The same request, for one call that bytes shall go with: `context.with_body(chunks).call(ACTION, request)`.

        The action reads them from `Context.body`; another node gets them no faster than it reads them. Such a call is
        never tried again, as the bytes can be read only once.
        """
        return replace(self, attached=body)

    def as_service(self, name: str) -> "Context":
        """The same request, made by a part of Fireside on behalf of whoever asks. Internal actions need it."""
        return replace(self, identity=service_identity(name, on_behalf_of=self.identity))

    def with_identity(self, identity: Identity) -> "Context":
        """The same request, made by someone else."""
        return replace(self, identity=identity)

    def detached(self) -> "Context":
        """The same request without its deadline, for work that outlives it."""
        return replace(self, deadline=None)
