"""The chain as a whole, on one node and between nodes."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator

import pytest

from fireside.adapters.cache.memory import MemoryCache
from fireside.bootstrap.transporters import make_transporter
from fireside.contracts.base import PUBLIC, SIGNED_IN, Action, Nothing, StreamAction
from fireside.core.errors import DeadlineExceededError, FiresideError, InternalError, UnavailableError
from fireside.ports.transporter import TransporterError
from fireside.runtime.breaker import BreakerPolicy
from fireside.runtime.caching import Cache
from fireside.runtime.errors import CircuitOpenError, NodeLostError, OverloadedError
from fireside.runtime.health import collect
from fireside.runtime.mesh import (
    Check,
    Context,
    MeshSettings,
    Node,
    Service,
    Tools,
    action,
    fallback_for,
    fallback_stream_for,
    stream_action,
)
from fireside.runtime.mesh.balancing import shard_owner
from fireside.runtime.metrics import Metrics
from fireside.runtime.middleware.bulkhead import BulkheadPolicy
from fireside.runtime.middleware.retry import RetryPolicy
from fireside.testing.mesh import MeshOfNodes, eventually, local_node, mesh_of_nodes

from .parts import ECHO, HANG, NUMBERS, WHERE, Count, Note, NotesService, Number, Told, Where, a_user

FLAKY = Action("shop.flaky", Number, Number, access=PUBLIC, idempotent=True)
OUTER = Action("shop.outer", Number, Number, access=PUBLIC, idempotent=True)
CACHED = Action("shop.cached", Number, Number, access=SIGNED_IN, cache_ttl_s=60.0)
PRICE = Action("shop.price", Number, Number, access=PUBLIC)
PRICES = StreamAction("shop.prices", Number, Number, access=PUBLIC)
ITEMS = StreamAction("odd.items", Number, Number, access=PUBLIC)
PLAIN_ITEMS = StreamAction("odd.plain_items", Number, Number, access=PUBLIC)
WRONG = Action("odd.wrong", Nothing, Number, access=PUBLIC)
SLOW = Action("shop.slow", Nothing, Nothing, access=PUBLIC, timeout_s=0.05)
SLOWER = Action("shop.slower", Nothing, Nothing, access=PUBLIC, timeout_s=0.05)


class Shop(Service):
    """Fails as often as it is told."""

    name = "shop"

    def __init__(self, *, failures: int = 0) -> None:
        self.failures = failures
        self.calls = 0
        self.price_error: Exception = UnavailableError("no prices")

    @action(FLAKY)
    async def flaky(self, context: Context, request: Number) -> Number:
        self.calls += 1
        if self.calls <= self.failures:
            raise UnavailableError("not now")
        return request

    @action(OUTER)
    async def outer(self, context: Context, request: Number) -> Number:
        return await context.call(FLAKY, request)

    @action(CACHED)
    async def cached(self, context: Context, request: Number) -> Number:
        self.calls += 1
        return Number(value=self.calls)

    @action(PRICE)
    async def price(self, context: Context, request: Number) -> Number:
        raise self.price_error

    @fallback_for(PRICE)
    async def last_price(self, context: Context, request: Number, error: FiresideError) -> Number:
        return Number(value=-request.value)

    @stream_action(PRICES)
    async def prices(self, context: Context, request: Number) -> AsyncGenerator[Number, None]:
        raise self.price_error
        yield request

    @fallback_stream_for(PRICES)
    async def last_prices(
        self, context: Context, request: Number, error: FiresideError
    ) -> AsyncGenerator[Number, None]:
        yield Number(value=-request.value)

    @action(SLOW)
    async def slow(self, context: Context, request: Nothing) -> Nothing:
        await asyncio.Event().wait()
        return request

    @action(SLOWER)
    async def slower(self, context: Context, request: Nothing) -> Nothing:
        return await context.call(SLOW, request, timeout_s=60.0)


async def at_once(seconds: float) -> None:
    del seconds


def tools(**options: object) -> Tools:
    return Tools(retry=RetryPolicy(attempts=3, sleep=at_once), **options)  # type: ignore[arg-type]


async def run_shop(shop: Shop, made: Tools) -> Node:
    node = Node(node_id="n", transporter=make_transporter("memory://"), settings=MeshSettings(), tools=made)
    node.add(shop)
    await node.start()
    return node


@pytest.mark.requirement("P17")
async def test_nested_idempotent_calls_do_not_multiply_attempts() -> None:
    shop = Shop(failures=99)
    node = await run_shop(shop, tools())

    with pytest.raises(UnavailableError):
        await node.context().call(OUTER, Number(value=1))

    assert shop.calls == 3
    await node.stop()


async def test_attempts_between_nodes_are_counted_on_one_side_only() -> None:
    async with mesh_of_nodes() as mesh:
        shop = Shop(failures=99)
        await mesh.add("server", shop, tools=tools())
        client = await mesh.add("client", tools=tools())

        with pytest.raises(UnavailableError, match="not now"):
            await client.context().call(OUTER, Number(value=1))

    assert shop.calls == 3


async def test_a_flaky_action_answers_after_retries_here_and_from_afar() -> None:
    async with mesh_of_nodes() as mesh:
        here, there = Shop(failures=2), Shop(failures=2)
        node = await mesh.add("here", here, tools=tools())
        assert await node.context().call(FLAKY, Number(value=7)) == Number(value=7)
        await mesh.stop("here")
        await mesh.add("there", there, tools=tools())
        client = await mesh.add("client", tools=tools())

        assert await client.context().call(FLAKY, Number(value=7)) == Number(value=7)

    assert here.calls == there.calls == 3


@pytest.mark.requirement("P16")
async def test_after_repeated_failures_calls_fail_fast_without_reaching_the_action() -> None:
    shop = Shop(failures=99)
    node = await run_shop(shop, tools(breaker=BreakerPolicy(failures=3, open_s=60)))
    with pytest.raises(UnavailableError):
        await node.context().call(FLAKY, Number(value=1))

    with pytest.raises(CircuitOpenError):
        await node.context().call(FLAKY, Number(value=1))
    with pytest.raises(CircuitOpenError):
        await node.context().call(OUTER, Number(value=1))

    assert shop.calls == 3
    metrics = node.tools.metrics.registry
    assert metrics.get_sample_value("fireside_breaker_state", {"action": "shop.flaky", "node": "n"}) == 2
    assert metrics.get_sample_value("fireside_breaker_state", {"action": "shop.outer", "node": "n"}) == 0
    await node.stop()


async def test_a_node_that_keeps_failing_is_left_alone_and_the_other_answers() -> None:
    async with mesh_of_nodes() as mesh:
        bad, good = Shop(failures=999), Shop()
        await mesh.add("bad", bad)
        await mesh.add("good", good)
        client = await mesh.add("client", tools=tools(breaker=BreakerPolicy(failures=2, open_s=60)))

        answers = [await client.context().call(FLAKY, Number(value=number)) for number in range(20)]

        assert [answer.value for answer in answers] == list(range(20))
        assert bad.calls == 2
        assert good.calls == 20


async def test_a_call_that_finds_no_place_here_is_made_elsewhere() -> None:
    async with mesh_of_nodes() as mesh:
        near, far = NotesService("near"), NotesService("far")
        await mesh.add("far", far)
        crowded = tools(bulkhead=BulkheadPolicy(calls=1, streams=1, waiting=0))
        node = await mesh.add("near", near, tools=crowded)
        far.release.set()
        first = asyncio.create_task(node.context().call(HANG, Nothing()))
        await near.hanging.wait()
        held = node.context(identity=a_user()).stream(NUMBERS, Count(upto=2))
        await anext(held)

        second = await node.context().call(HANG, Nothing())
        items = [item.value async for item in node.context(identity=a_user()).stream(NUMBERS, Count(upto=3))]

        assert second == Where(node="far")
        assert items == [0, 1, 2]
        assert far.produced == 3
        near.release.set()
        assert (await first).node == "near"
        await held.aclose()


async def test_a_call_that_finds_no_place_anywhere_is_refused_clearly() -> None:
    notes = NotesService()
    node = Node(
        node_id="n",
        transporter=make_transporter("memory://"),
        settings=MeshSettings(),
        tools=tools(bulkhead=BulkheadPolicy(calls=1, streams=1, waiting=0)),
    )
    node.add(notes)
    await node.start()
    first = asyncio.create_task(node.context().call(HANG, Nothing()))
    await notes.hanging.wait()
    held = node.context(identity=a_user()).stream(NUMBERS, Count(upto=2))
    await anext(held)

    with pytest.raises(OverloadedError) as caught:
        await node.context().call(HANG, Nothing())
    with pytest.raises(OverloadedError):
        await anext(node.context(identity=a_user()).stream(NUMBERS, Count(upto=2)))

    assert (caught.value.status, caught.value.code) == (503, "overloaded")
    await held.aclose()
    notes.release.set()
    await first
    await node.stop()


async def test_a_refusal_of_the_only_other_node_is_passed_on_at_once() -> None:
    async with mesh_of_nodes() as mesh:
        notes = NotesService()
        await mesh.add("server", notes, tools=tools(bulkhead=BulkheadPolicy(calls=1, waiting=0)))
        client = await mesh.add("client", tools=tools())
        first = asyncio.create_task(client.context().call(HANG, Nothing()))
        await notes.hanging.wait()

        with pytest.raises(OverloadedError):
            await client.context().call(HANG, Nothing())

        notes.release.set()
        await first


async def test_a_retry_asks_another_node_even_where_the_key_points_to_the_one_that_failed() -> None:
    async with mesh_of_nodes() as mesh:
        shops = {name: Shop(failures=1 if name == "n0" else 0) for name in ("n0", "n1", "n2")}
        for name, shop in shops.items():
            await mesh.add(name, shop)
        client = await mesh.add("client", tools=tools(), shard_keys={"shop.flaky": "value"})
        owned = next(number for number in range(99) if shard_owner(str(number), ["n0", "n1", "n2"]) == "n0")

        await client.context().call(FLAKY, Number(value=owned))

        assert shops["n0"].calls == 1
        assert shops["n1"].calls + shops["n2"].calls == 1


async def test_cached_responses_are_served_here_and_to_other_nodes() -> None:
    async with mesh_of_nodes() as mesh:
        shop, metrics = Shop(), Metrics()
        server = await mesh.add("server", shop, tools=tools(cache=Cache(MemoryCache(), metrics=metrics)))
        client = await mesh.add("client")
        user = a_user()

        answers = [
            await node.context(identity=user).call(CACHED, Number(value=5)) for node in (server, client, server, client)
        ]

    assert answers == [Number(value=1)] * 4
    assert shop.calls == 1


async def test_a_service_answers_with_its_fallback_here_and_to_other_nodes() -> None:
    async with mesh_of_nodes() as mesh:
        server = await mesh.add("server", Shop(), tools=tools())
        client = await mesh.add("client")
        for node in (server, client):
            context = node.context()
            assert await context.call(PRICE, Number(value=5)) == Number(value=-5)
            assert [item async for item in context.stream(PRICES, Number(value=5))] == [Number(value=-5)]


async def test_a_nested_call_cannot_outlive_the_deadline_of_the_outer_one() -> None:
    async with local_node(Shop()) as node:
        started = asyncio.get_running_loop().time()
        with pytest.raises(DeadlineExceededError):
            await node.context().call(SLOWER, Nothing())

    assert asyncio.get_running_loop().time() - started < 30


async def test_a_crash_is_an_internal_error_here_as_from_afar() -> None:
    shop = Shop()
    shop.price_error = ValueError("a private detail")
    async with local_node(shop) as node:
        with pytest.raises(InternalError) as caught:
            await node.context().call(PRICE, Number(value=1))

    assert "private" not in str(caught.value)
    assert isinstance(caught.value.__cause__, ValueError)


class TestTransporterFailures:
    @pytest.fixture
    async def mesh(self) -> AsyncGenerator[MeshOfNodes, None]:
        async with mesh_of_nodes() as mesh:
            yield mesh

    async def test_a_call_that_cannot_be_sent_fails_as_unavailable(self, mesh: MeshOfNodes) -> None:
        await mesh.add("server", NotesService())
        client = await mesh.add("client", tools=tools())
        mesh.lines["client"].refuses = {"REQ"}

        with pytest.raises(TransporterError):
            await client.context().call(WHERE, Nothing())
        with pytest.raises(TransporterError):
            await anext(client.context(identity=a_user()).stream(NUMBERS, Count(upto=1)))

        assert client.tools.metrics.registry.get_sample_value("fireside_retries_total", {"action": "notes.where"}) == 2

    async def test_an_answer_that_cannot_be_sent_harms_nothing_else(self, mesh: MeshOfNodes) -> None:
        await mesh.add("server", NotesService("server"))
        client = await mesh.add("client", tools=tools())
        mesh.lines["server"].refuses = {"RES"}
        with pytest.raises(DeadlineExceededError):
            await client.context().call(WHERE, Nothing(), timeout_s=0.05)

        mesh.lines["server"].refuses = set()

        assert (await client.context().call(WHERE, Nothing())).node == "server"

    async def test_signs_of_life_that_cannot_be_sent_are_tried_again(self, mesh: MeshOfNodes) -> None:
        await mesh.add("server", NotesService("server"))
        client = await mesh.add("client")
        mesh.lines["server"].refuses = {"HEARTBEAT", "INFO"}
        await eventually(lambda: client.registry.find("server") is None)

        mesh.lines["server"].refuses = set()

        await eventually(lambda: client.registry.find("server") is not None)

    async def test_a_cancelled_call_whose_note_cannot_be_sent_is_cancelled_all_the_same(
        self, mesh: MeshOfNodes
    ) -> None:
        notes = NotesService("server")
        await mesh.add("server", notes)
        client = await mesh.add("client")
        call = asyncio.create_task(client.context().call(HANG, Nothing()))
        await notes.hanging.wait()
        mesh.lines["client"].refuses = {"EVENT"}

        call.cancel()

        with pytest.raises(asyncio.CancelledError):
            await call

    async def test_an_answer_of_the_wrong_shape_is_an_error_and_not_a_hang(self, mesh: MeshOfNodes) -> None:
        await mesh.add("server", NotesService("server"))
        client = await mesh.add("client")
        one_as_stream = StreamAction("notes.echo", Note, Note, access=SIGNED_IN)
        stream_as_one = Action("notes.numbers", Count, Number, access=SIGNED_IN)
        context = client.context(identity=a_user())

        with pytest.raises(FiresideError, match="one response came"):
            await anext(context.stream(one_as_stream, Note(text="x")))
        with pytest.raises(FiresideError, match="answered with a stream"):
            await context.call(stream_as_one, Count(upto=3))

    async def test_failing_over_is_seen_in_the_figures(self, mesh: MeshOfNodes) -> None:
        one, two = NotesService("one"), NotesService("two")
        await mesh.add("one", one)
        await mesh.add("two", two)
        client = await mesh.add("client", tools=tools())
        call = asyncio.create_task(client.context().call(HANG, Nothing()))
        await eventually(lambda: one.hanging.is_set() or two.hanging.is_set())
        first, second = (one, two) if one.hanging.is_set() else (two, one)
        second.release.set()
        mesh.kill(first.node)
        await call

        metrics = client.tools.metrics.registry
        assert metrics.get_sample_value("fireside_retries_total", {"action": "notes.hang"}) == 1
        assert metrics.get_sample_value("fireside_mesh_nodes") == 1
        assert (
            metrics.get_sample_value("fireside_calls_total", {"action": "notes.hang", "place": "send", "code": "ok"})
            == 1
        )

    async def test_an_error_that_says_where_it_came_from_keeps_it(self, mesh: MeshOfNodes) -> None:
        await mesh.add("server", NotesService("server"))
        client = await mesh.add("client")
        call = asyncio.create_task(
            client.context().call(Action("notes.hang", Nothing, Where, access=PUBLIC), Nothing())
        )
        await eventually(lambda: any(command == "REQ" for command, _, _ in mesh.lines["client"].sent))
        mesh.kill("server")

        with pytest.raises(NodeLostError) as caught:
            await call

        assert json.loads(json.dumps(caught.value.details)) == {"action": "notes.hang", "node_id": "server"}


async def test_a_context_can_be_changed_without_changing_the_one_it_came_from() -> None:
    async with local_node(NotesService()) as node:
        user = a_user()
        root = node.context(identity=user, request_id="r-1")
        inner = root.for_call(ECHO, 5.0)

        assert inner.detached().deadline is None
        assert inner.deadline is not None
        assert root.with_identity(a_user()).identity != user
        assert root.as_service("chat").identity.user_id == user.user_id
        assert root.identity is user
        assert root.remaining_s is None
        assert (inner.level, root.level) == (2, 1)


class OddShop(Service):
    """Does what a service should not, or need not."""

    name = "odd"

    def __init__(self) -> None:
        self.closed = False

    @stream_action(ITEMS)
    def items(self, context: Context, request: Number) -> AsyncIterator[Number]:
        return Items(self, request.value)

    @stream_action(PLAIN_ITEMS)
    def plain_items(self, context: Context, request: Number) -> AsyncIterator[Number]:
        return PlainItems(request.value)

    @action(WRONG)
    async def wrong(self, context: Context, request: Nothing) -> Number:
        return object()  # type: ignore[return-value]


class PlainItems:
    """An iterator that is no generator."""

    def __init__(self, count: int) -> None:
        self._left = count

    def __aiter__(self) -> AsyncIterator[Number]:
        return self

    async def __anext__(self) -> Number:
        if not self._left:
            raise StopAsyncIteration
        self._left -= 1
        return Number(value=self._left)


class Items(PlainItems):
    """One that can be closed."""

    def __init__(self, shop: OddShop, count: int) -> None:
        super().__init__(count)
        self._shop = shop

    async def aclose(self) -> None:
        self._shop.closed = True


async def test_a_stream_may_be_any_iterator_and_is_closed_where_it_can_be() -> None:
    shop = OddShop()
    async with local_node(shop) as node:
        context = node.context()
        assert [item.value async for item in context.stream(PLAIN_ITEMS, Number(value=2))] == [1, 0]
        stream = context.stream(ITEMS, Number(value=5))
        assert (await anext(stream)).value == 4
        await stream.aclose()

    assert shop.closed


async def test_a_response_that_cannot_be_written_down_is_an_internal_error_for_others() -> None:
    async with mesh_of_nodes() as mesh:
        await mesh.add("server", OddShop())
        client = await mesh.add("client")

        with pytest.raises(InternalError):
            await client.context().call(WRONG, Nothing())


async def test_a_local_stream_that_fails_is_not_begun_elsewhere() -> None:
    async with mesh_of_nodes() as mesh:
        far = NotesService("far")
        await mesh.add("far", far)
        node = await mesh.add("near", NotesService("near"))

        with pytest.raises(FiresideError, match="0 is odd"):
            await anext(node.context(identity=a_user()).stream(NUMBERS, Count(upto=3, fail_at=0)))

        assert far.produced == 0


async def test_a_signal_that_cannot_be_sent_still_reaches_the_handlers_here() -> None:
    async with mesh_of_nodes() as mesh:
        near, far = NotesService("near"), NotesService("far")
        await mesh.add("far", far)
        node = await mesh.add("near", near)
        mesh.lines["near"].refuses = {"EVENT"}

        await node.context().broadcast(Told(text="x"))

        await eventually(lambda: near.signals == ["x"])
        assert far.signals == []


async def test_a_node_that_answers_no_ping_is_still_called() -> None:
    async with mesh_of_nodes() as mesh:
        await mesh.add("server", NotesService("server"))
        mesh.lines["server"].deaf_to = {"PING"}
        client = await mesh.add("client", balancing="latency", heartbeat_timeout_s=0.2)
        await eventually(lambda: sum(command == "PING" for command, _, _ in mesh.lines["client"].sent) > 5)
        await eventually(lambda: client.registry.find("server") is not None)

        assert (await client.context().call(WHERE, Nothing())).node == "server"


async def test_a_part_that_does_not_tell_its_health_in_time_has_failed() -> None:
    async def never() -> dict[str, Check]:
        await asyncio.Event().wait()
        return {}

    health = await collect({"slow": never}, timeout_s=0.01)

    assert health.status == "failed"
    assert "0.01 s" in health.checks["slow"].detail
