import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import ClassVar

import pytest

from fireside.contracts.base import INTERNAL, PUBLIC, SIGNED_IN, Action, Contract, Nothing, Signal, StreamAction
from fireside.core.errors import ConflictError, ForbiddenError, UnauthenticatedError, UnavailableError
from fireside.core.identity import Identity, service_identity, user_identity
from fireside.core.ids import UserId, new_id
from fireside.runtime.mesh import Context, Node, Service, action, on_signal, stream_action
from fireside.testing.mesh import local_node


class Number(Contract):
    value: int


class Ticked(Signal):
    topic: ClassVar[str] = "counter.ticked"
    value: int


DOUBLE = Action("counter.double", Number, Number, access=SIGNED_IN)
SECRET = Action("counter.secret", Nothing, Number, access=INTERNAL)
GUARDED = Action("counter.guarded", Nothing, Number, access="counter:read")
OPEN = Action("counter.open", Number, Number, access=PUBLIC)
COUNT = StreamAction("counter.count", Number, Number, access=SIGNED_IN)


class CounterService(Service):
    name = "counter"

    def __init__(self) -> None:
        self.log: list[str] = []
        self.ticks: asyncio.Queue[int] = asyncio.Queue()
        self.seen: list[object] = []
        self.closed = asyncio.Event()

    async def start(self, context: Context) -> None:
        self.log.append(f"start as {context.identity.name}")

    async def stop(self) -> None:
        self.log.append("stop")

    @action(DOUBLE)
    async def double(self, context: Context, request: Number) -> Number:
        return await context.as_service("counter").call(OPEN, Number(value=request.value * 2))

    @action(SECRET)
    async def secret(self, context: Context, request: Nothing) -> Number:
        return Number(value=42)

    @action(GUARDED)
    async def guarded(self, context: Context, request: Nothing) -> Number:
        return Number(value=7)

    @action(OPEN)
    async def open_to_all(self, context: Context, request: Number) -> Number:
        self.seen += [request, context]
        return request

    @stream_action(COUNT)
    async def count(self, context: Context, request: Number) -> AsyncGenerator[Number, None]:
        try:
            for value in range(request.value):
                yield Number(value=value)
        finally:
            self.closed.set()

    @on_signal(Ticked)
    async def ticked(self, context: Context, signal: Ticked) -> None:
        self.ticks.put_nowait(signal.value)


@pytest.fixture
def service() -> CounterService:
    return CounterService()


@pytest.fixture
async def node(service: CounterService) -> AsyncIterator[Node]:
    async with local_node(service) as node:
        yield node


@pytest.fixture
def user() -> Identity:
    return user_identity(UserId(new_id()), roles=["user"], permissions=["chat:read"])


async def test_a_local_call_hands_over_the_very_objects(node: Node, service: CounterService) -> None:
    request = Number(value=3)

    response = await node.context().call(OPEN, request)

    assert response is request
    assert service.seen[0] is request


async def test_an_action_runs_in_a_context_that_names_its_caller(
    node: Node, service: CounterService, user: Identity
) -> None:
    answer = await node.context(identity=user, request_id="r-1").call(DOUBLE, Number(value=4))

    inner = service.seen[1]
    assert answer == Number(value=8)
    assert isinstance(inner, Context)
    assert (inner.request_id, inner.caller, inner.action) == ("r-1", "counter.double", "counter.open")
    assert inner.identity == service_identity("counter", on_behalf_of=user)
    assert inner.remaining_s is not None
    assert 0 < inner.remaining_s <= 30.0


async def test_a_stream_gives_its_items_in_order(node: Node, user: Identity) -> None:
    items = [item.value async for item in node.context(identity=user).stream(COUNT, Number(value=3))]

    assert items == [0, 1, 2]


async def test_closing_a_stream_early_stops_its_producer(node: Node, service: CounterService, user: Identity) -> None:
    async with aclosing(node.context(identity=user).stream(COUNT, Number(value=1000))) as items:
        async for _ in items:
            break

    assert service.closed.is_set()


async def test_a_signal_reaches_its_handler(node: Node, service: CounterService) -> None:
    await node.context().broadcast(Ticked(value=5))

    assert await asyncio.wait_for(service.ticks.get(), 5) == 5


async def test_an_action_that_needs_a_signed_in_caller_refuses_strangers(node: Node) -> None:
    with pytest.raises(UnauthenticatedError):
        await node.context().call(DOUBLE, Number(value=1))
    with pytest.raises(UnauthenticatedError):
        await anext(node.context().stream(COUNT, Number(value=1)))


async def test_an_internal_action_refuses_users_and_serves_services(node: Node, user: Identity) -> None:
    context = node.context(identity=user)

    with pytest.raises(ForbiddenError):
        await context.call(SECRET, Nothing())
    with pytest.raises(UnauthenticatedError):
        await node.context().call(SECRET, Nothing())
    assert (await context.as_service("chat").call(SECRET, Nothing())).value == 42


async def test_an_action_that_needs_a_permission_refuses_those_without_it(node: Node, user: Identity) -> None:
    reader = user_identity(UserId(new_id()), roles=[], permissions=["counter:read"])

    with pytest.raises(ForbiddenError):
        await node.context(identity=user).call(GUARDED, Nothing())
    assert (await node.context(identity=reader).call(GUARDED, Nothing())).value == 7


async def test_an_action_that_nobody_offers_is_unavailable(node: Node, user: Identity) -> None:
    absent = Action("nowhere.at_all", Nothing, Nothing, access=PUBLIC)
    absent_stream = StreamAction("nowhere.items", Nothing, Nothing, access=PUBLIC)

    with pytest.raises(UnavailableError, match=r"nowhere\.at_all"):
        await node.context().call(absent, Nothing())
    with pytest.raises(UnavailableError, match=r"nowhere\.items"):
        await anext(node.context().stream(absent_stream, Nothing()))


async def test_two_services_cannot_offer_the_same_action(node: Node) -> None:
    with pytest.raises(ConflictError, match=r"counter\.double"):
        node.add(CounterService())


async def test_a_service_cannot_offer_an_action_of_another() -> None:
    class Impostor(Service):
        name = "impostor"

        @action(OPEN)
        async def open_to_all(self, context: Context, request: Number) -> Number:
            return request

    with pytest.raises(ConflictError, match="impostor"):
        async with local_node(Impostor()):
            pass


async def test_services_start_with_their_own_identity_and_are_stopped() -> None:
    service = CounterService()

    async with local_node(service):
        assert service.log == ["start as counter"]

    assert service.log == ["start as counter", "stop"]
