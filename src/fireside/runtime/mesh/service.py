"""The base of every service and the markers that say which of its methods serve what."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from inspect import getattr_static
from typing import Any, ClassVar, Protocol, TypeVar

from fireside.contracts.base import Action, Event, RequestT, ResponseT, Signal, StreamAction
from fireside.core.errors import FiresideError
from fireside.runtime.context import Context
from fireside.runtime.health import Check

ServiceT = TypeVar("ServiceT")
SignalT = TypeVar("SignalT", bound=Signal)
EventT = TypeVar("EventT", bound=Event)
MarkerT = TypeVar("MarkerT")
MethodT = TypeVar("MethodT", bound=Callable[..., Any])

_MARKERS = "__fireside_markers__"


AnyAction = Action[Any, Any] | StreamAction[Any, Any]


class Attachment(Protocol):
    """Something that runs beside a service for as long as the node runs, such as a relay or a worker."""

    async def start(self, context: Context) -> None:
        """Begin. All services of the node have started; `context` is a root context of the service."""
        ...

    async def stop(self) -> None:
        """End, before the service itself is stopped. Safe to call when it was never started."""
        ...


class Service:
    """A part of Fireside: actions, stream actions and handlers under one name.

    Subclasses set `name`; the actions they mark must be named `<name>.<verb>`.
    """

    name: ClassVar[str]

    def offers(self) -> Iterator[tuple[AnyAction, Callable[..., Any]]]:
        """The actions and stream actions of the service, each with the method that serves it."""
        yield from marked(self, Action)
        yield from marked(self, StreamAction)

    def attachments(self) -> Sequence[Attachment]:
        """What the node starts after all services have started, and stops before any is stopped."""
        return ()

    async def open(self) -> None:
        """Make ready what the service stands on, such as its database. Runs before any service starts."""

    async def close(self) -> None:
        """Let go of what `open` took. Runs after every service has stopped; safe when it was never opened."""

    async def start(self, context: Context) -> None:
        """Get ready. Runs after all services of the node are registered; long work belongs in a task.

        Args:
            context: A root context with the service's own identity.
        """

    async def stop(self) -> None:
        """Let go of what `start` took."""

    async def health(self) -> Mapping[str, Check]:
        """What the service depends on and how well it is, by a short name each."""
        return {}


def mark(method: MethodT, marker: object) -> MethodT:
    """Note on a method of a service what it serves. A method may carry several markers."""
    markers: list[object] = getattr(method, _MARKERS, [])
    setattr(method, _MARKERS, [*markers, marker])
    return method


def marked(service: object, kind: type[MarkerT]) -> Iterator[tuple[MarkerT, Callable[..., Any]]]:
    """The markers of one kind on a service's methods, each with its bound method, in order of the methods' names.

    A method that overrides a marked one of a base class serves in its place only when it is marked itself.
    """
    for name in dir(type(service)):
        for marker in getattr(getattr_static(type(service), name), _MARKERS, ()):
            if isinstance(marker, kind):
                yield marker, getattr(service, name)


def action(
    contract: Action[RequestT, ResponseT],
) -> Callable[
    [Callable[[ServiceT, Context, RequestT], Awaitable[ResponseT]]],
    Callable[[ServiceT, Context, RequestT], Awaitable[ResponseT]],
]:
    """Serve the action with this method: `async def f(self, context: Context, request: Request) -> Response`."""
    return lambda method: mark(method, contract)


def stream_action(
    contract: StreamAction[RequestT, ResponseT],
) -> Callable[
    [Callable[[ServiceT, Context, RequestT], AsyncIterator[ResponseT]]],
    Callable[[ServiceT, Context, RequestT], AsyncIterator[ResponseT]],
]:
    """Serve the stream action with this method, an asynchronous generator or a function that returns an iterator."""
    return lambda method: mark(method, contract)


class FallbackFor:
    """Marks what a service answers with when an action of its own is unavailable."""

    def __init__(self, action: AnyAction) -> None:
        self.action = action


def fallback_for(
    contract: Action[RequestT, ResponseT],
) -> Callable[
    [Callable[[ServiceT, Context, RequestT, FiresideError], Awaitable[ResponseT]]],
    Callable[[ServiceT, Context, RequestT, FiresideError], Awaitable[ResponseT]],
]:
    """Answer with this method where the action fails on our side: `async def f(self, context, request, error)`."""
    return lambda method: mark(method, FallbackFor(contract))


def fallback_stream_for(
    contract: StreamAction[RequestT, ResponseT],
) -> Callable[
    [Callable[[ServiceT, Context, RequestT, FiresideError], AsyncIterator[ResponseT]]],
    Callable[[ServiceT, Context, RequestT, FiresideError], AsyncIterator[ResponseT]],
]:
    """Stream from this method where the stream action fails before its first item."""
    return lambda method: mark(method, FallbackFor(contract))


class OnSignal:
    """Marks the handler of a signal."""

    def __init__(self, signal: type[Signal]) -> None:
        self.signal = signal


class OnEvent:
    """Marks the handler of an event; durable services carry it out."""

    def __init__(self, event: type[Event]) -> None:
        self.event = event


def on_signal(
    signal: type[SignalT],
) -> Callable[
    [Callable[[ServiceT, Context, SignalT], Awaitable[None]]],
    Callable[[ServiceT, Context, SignalT], Awaitable[None]],
]:
    """Run this method for every such signal, from any node; signals of one type come one after another."""
    return lambda method: mark(method, OnSignal(signal))


def on_event(
    event: type[EventT],
) -> Callable[
    [Callable[[ServiceT, Context, EventT, Any], Awaitable[None]]],
    Callable[[ServiceT, Context, EventT, Any], Awaitable[None]],
]:
    """Run this method for every such event: `async def f(self, context, event, unit: UnitOfWork) -> None`.

    Delivered at least once and in order per aggregate; runs inside one transaction of the service's own database
    together with the note that the event was seen, so that it takes effect once. The service is a durable one.
    """
    return lambda method: mark(method, OnEvent(event))
