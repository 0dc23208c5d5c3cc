"""Two nodes that take requests, one mesh, one Redis: what one counts or hears of holds at both."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import httpx
import pytest

from fireside.adapters.cache.memory import MemoryCache
from fireside.adapters.cache.redis import RedisCache
from fireside.adapters.cache.tiered import TieredCache
from fireside.adapters.rate_windows.memory import MemoryRateWindows
from fireside.adapters.rate_windows.redis import RedisRateWindows
from fireside.ports.rate_windows import RateWindows
from fireside.runtime.caching import Cache, telling_users
from fireside.runtime.durable import Database
from fireside.runtime.mesh import Node, Service
from fireside.runtime.metrics import Metrics
from fireside.services.gateway.guard import Guard
from fireside.services.gateway.identities import Authenticator
from fireside.services.gateway.service import GatewayService
from fireside.services.gateway.settings import GatewaySettings
from fireside.services.gateway.shared_windows import SharedOrOwnWindows
from fireside.testing.mesh import MeshOfNodes, mesh_of_nodes
from tests.redis_servers import need_redis, until
from tests.services.auth.house import House, ManualClock, auth_house
from tests.services.gateway.door import BASE, Door, make_app


def gateway(node: Node, house: House, authenticator: Authenticator, windows: RateWindows, **settings: Any) -> Door:
    guard = Guard(
        authenticator=authenticator,
        make_context=node.context,
        settings=GatewaySettings(**settings),
        windows=windows,
    )
    behind = make_app()
    app = guard.around(behind)
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app, client=("10.0.0.1", 1234)), base_url=BASE)
    behind.state.door = Door(house, app, client, authenticator, guard)
    return behind.state.door


@asynccontextmanager
async def two_gateways(
    database: Database,
    windows: Callable[[], RateWindows],
    *,
    caches: Sequence[Cache] = (),
    signals: bool = True,
    **settings: Any,
) -> AsyncGenerator[tuple[Door, Door]]:
    """The first stands on the node of the auth service, the second on one of its own."""
    clock = database.clock
    first, second = (Authenticator(clock=clock, remember_s=600.0) for _ in range(2))
    for cache, authenticator in zip(caches, (first, second), strict=False):
        cache.listen(telling_users(authenticator.forget))
    async with (
        mesh_of_nodes() as mesh,
        auth_house(
            database, run=lambda service: on(mesh, service, first), cache=caches[0] if caches else None
        ) as house,
    ):
        house.listeners.append(first.forget)
        if not signals:
            mesh.lines["one"].refuses.add("EVENT")
        other = await mesh.add("two", GatewayService(forget=[second.forget]))
        counting = windows(), windows()
        one = gateway(house.node, house, first, counting[0], **settings)
        two = gateway(other, house, second, counting[1], **settings)
        async with one.client, two.client:
            yield one, two
        for each in counting:
            await each.aclose()


@asynccontextmanager
async def on(mesh: MeshOfNodes, service: Service, authenticator: Authenticator) -> AsyncGenerator[Node]:
    yield await mesh.add("one", service, GatewayService(forget=[authenticator.forget]))


@pytest.fixture
def counted_alone(database: Database) -> Callable[[], RateWindows]:
    return lambda: MemoryRateWindows(database.clock)


@pytest.fixture
def counted_on_redis() -> Callable[[], RateWindows]:
    prefix = f"test-{uuid4().hex}"
    return lambda: SharedOrOwnWindows(
        shared=RedisRateWindows(f"{need_redis()}?timeout_s=30", prefix=prefix),
        own=MemoryRateWindows(ManualClock()),
        clock=ManualClock(),
    )


def refused(door: Door, headers: dict[str, str]) -> Callable[[], Awaitable[bool]]:
    async def look() -> bool:
        return (await door.get("/who", headers)).status_code == 401

    return look


@pytest.mark.parametrize("revoked_at", [0, 1])
async def test_a_session_that_is_ended_at_one_gateway_is_refused_at_both(
    database: Database, counted_alone: Callable[[], RateWindows], revoked_at: int
) -> None:
    async with two_gateways(database, counted_alone) as doors:
        lasting, ending = await doors[0].bearer(), await doors[0].bearer()
        for door in doors:
            assert [(await door.get("/who", who)).status_code for who in (lasting, ending)] == [200, 200]
        sessions = (await doors[0].get("/api/v1/auth/sessions", ending)).json()["items"]
        [own] = [session["id"] for session in sessions if session["current"]]

        reply = await doors[revoked_at].client.delete(f"/api/v1/auth/sessions/{own}", headers=lasting)

        assert reply.status_code == 204
        for door in doors:
            await until(refused(door, ending), "the session to be refused", timeout_s=10)
            assert (await door.get("/who", lasting)).status_code == 200


async def test_a_key_that_is_deleted_at_one_gateway_is_refused_at_both(
    database: Database, counted_alone: Callable[[], RateWindows]
) -> None:
    async with two_gateways(database, counted_alone) as doors:
        bearer = await doors[0].bearer()
        made = (await doors[0].client.post("/api/v1/auth/api-keys", json={"name": "k"}, headers=bearer)).json()
        key = {"x-api-key": made["key"]}
        assert [(await door.get("/who", key)).status_code for door in doors] == [200, 200]

        reply = await doors[1].client.delete(f"/api/v1/auth/api-keys/{made['id']}", headers=bearer)

        assert reply.status_code == 204
        for door in doors:
            await until(refused(door, key), "the key to be refused", timeout_s=10)


@asynccontextmanager
async def two_caches() -> AsyncGenerator[list[Cache]]:
    prefix = f"test-{uuid4().hex}"
    far = [RedisCache(need_redis(), prefix=prefix) for _ in range(2)]
    caches = [Cache(TieredCache(MemoryCache(), each), metrics=Metrics()) for each in far]
    for cache in caches:
        await cache.open()
    yield caches
    await far[0].clear()
    for cache in caches:
        await cache.aclose()


async def test_a_session_is_refused_at_both_even_when_the_signal_is_lost(
    database: Database, counted_alone: Callable[[], RateWindows]
) -> None:
    async with (
        two_caches() as caches,
        two_gateways(database, counted_alone, caches=caches, signals=False) as doors,
    ):
        bearer = await doors[0].bearer()
        assert [(await door.get("/who", bearer)).status_code for door in doors] == [200, 200]
        [session] = (await doors[0].get("/api/v1/auth/sessions", bearer)).json()["items"]

        reply = await doors[0].client.delete(f"/api/v1/auth/sessions/{session['id']}", headers=bearer)

        assert reply.status_code == 204
        for door in doors:
            await until(refused(door, bearer), "the session to be refused", timeout_s=10)


@pytest.mark.requirement("P19")
async def test_a_burst_at_both_gateways_gets_as_much_as_at_one(
    database: Database, counted_on_redis: Callable[[], RateWindows]
) -> None:
    async with two_gateways(database, counted_on_redis, anonymous_rate="100/hour") as doors:
        replies = await asyncio.gather(*(doors[number % 2].get("/who") for number in range(160)))
        late = await asyncio.gather(*(door.get("/who") for door in doors))

        assert sum(reply.status_code == 200 for reply in replies) == 100
        for reply in late:
            assert (reply.status_code, reply.json()["code"]) == (429, "rate_limited")
            assert 3590 < int(reply.headers["retry-after"]) <= 3600
            assert reply.headers["ratelimit-reset"] == reply.headers["retry-after"]
            assert (reply.headers["ratelimit-limit"], reply.headers["ratelimit-remaining"]) == ("100", "0")


@pytest.mark.requirement("P19")
async def test_wrong_passwords_at_one_gateway_count_at_the_other(
    database: Database, counted_on_redis: Callable[[], RateWindows]
) -> None:
    async with two_gateways(database, counted_on_redis, failed_rate="3/minute") as (one, two):
        wrong = [
            (await door.token(f"{name}@example.org", "wrong")).status_code
            for name, door in (("a", one), ("b", two), ("c", one), ("d", two))
        ]

        assert wrong == [401, 401, 401, 429]
