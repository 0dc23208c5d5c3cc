from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import Depends, FastAPI

from fireside.contracts.base import INTERNAL, SIGNED_IN
from fireside.contracts.permissions import ADMIN_READ, route_access
from fireside.services.gateway.access import require_declared_access
from fireside.services.gateway.problems import add_problem_handlers
from tests.services.gateway.door import Door


async def answer(number: int) -> int:
    return number


@pytest.fixture
async def client(door: Door) -> AsyncIterator[httpx.AsyncClient]:
    """Routes that do not check anything themselves, behind the guard of the door."""
    app = FastAPI(dependencies=[Depends(require_declared_access)])
    add_problem_handlers(app)
    app.add_api_route("/forgotten/{number}", answer)
    app.add_api_route("/inside/{number}", answer, openapi_extra=route_access(INTERNAL))
    app.add_api_route("/signed-in/{number}", answer, openapi_extra=route_access(SIGNED_IN))
    app.add_api_route("/administrators/{number}", answer, openapi_extra=route_access(ADMIN_READ))
    transport = httpx.ASGITransport(door.guard.around(app), client=("10.0.0.1", 1234))
    async with httpx.AsyncClient(transport=transport, base_url="http://fireside.test") as client:
        yield client


@pytest.mark.parametrize("path", ["/forgotten/1", "/inside/1"])
async def test_a_route_that_does_not_say_whom_it_is_for_admits_nobody(
    door: Door, client: httpx.AsyncClient, path: str
) -> None:
    for headers in ({}, await door.bearer()):
        reply = await client.get(path, headers=headers)
        assert (reply.status_code, reply.json()["code"]) == (403, "undeclared_access")


async def test_whoever_a_route_is_not_for_learns_nothing_from_complaints_about_the_input(
    door: Door, client: httpx.AsyncClient
) -> None:
    await door.house.add_user("ada@example.org")
    user = await door.bearer("ada@example.org")

    assert (await client.get("/signed-in/x")).status_code == 401
    assert (await client.get("/administrators/x")).status_code == 401
    assert (await client.get("/administrators/x", headers=user)).status_code == 403
    assert (await client.get("/signed-in/x", headers=user)).status_code == 422
    assert (await client.get("/signed-in/1", headers=user)).json() == 1
    assert (await client.get("/administrators/1", headers=await door.bearer())).json() == 1
