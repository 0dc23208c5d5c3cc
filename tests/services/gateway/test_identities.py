"""Finding out whom a credential stands for, when many ask at once."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from fireside.contracts.auth import AUTHENTICATE, Authenticate, Authenticated
from fireside.core.clock import SystemClock
from fireside.core.errors import UnauthenticatedError
from fireside.core.ids import ApiKeyId, UserId, new_id
from fireside.runtime.context import Context
from fireside.runtime.mesh import Node, Service, action
from fireside.services.gateway.identities import Authenticator
from fireside.testing.mesh import local_node


class SlowAuth(Service):
    """Answers once a test says so; `role` is what it knows when it is asked."""

    name = "auth"

    def __init__(self) -> None:
        self.asked = 0
        self.role = "user"
        self.is_asked, self.may_answer = asyncio.Event(), asyncio.Event()

    @action(AUTHENTICATE)
    async def authenticate(self, context: Context, request: Authenticate) -> Authenticated:
        self.asked += 1
        role = self.role
        self.is_asked.set()
        await self.may_answer.wait()
        if request.credential == "wrong":
            raise UnauthenticatedError("no")
        user_id, key_id = UserId(new_id()), ApiKeyId(new_id())
        return Authenticated(user_id=user_id, name="Ada", roles=(role,), permissions=(), api_key_id=key_id)


@pytest.fixture
def auth() -> SlowAuth:
    return SlowAuth()


@pytest.fixture
async def node(auth: SlowAuth) -> AsyncIterator[Node]:
    async with local_node(auth) as node:
        yield node


@pytest.fixture
def authenticator() -> Authenticator:
    return Authenticator(clock=SystemClock(), remember_s=60.0)


async def test_many_who_come_at_once_with_one_credential_cost_one_look(
    node: Node, auth: SlowAuth, authenticator: Authenticator
) -> None:
    asking = [asyncio.create_task(authenticator.identify(node.context(), "right")) for _ in range(5)]
    refused = [asyncio.create_task(authenticator.identify(node.context(), "wrong")) for _ in range(2)]
    await auth.is_asked.wait()
    auth.may_answer.set()

    assert len({(await each).identity.user_id for each in asking}) == 1
    for each in refused:
        with pytest.raises(UnauthenticatedError):
            await each
    assert auth.asked == 2


async def test_whoever_leaves_does_not_take_the_answer_from_the_others(
    node: Node, auth: SlowAuth, authenticator: Authenticator
) -> None:
    first, second = (asyncio.create_task(authenticator.identify(node.context(), "right")) for _ in range(2))
    await auth.is_asked.wait()
    first.cancel()
    auth.may_answer.set()

    with pytest.raises(asyncio.CancelledError):
        await first
    assert (await second).identity.user_id


async def test_whoever_comes_after_a_change_is_not_given_what_was_asked_before_it(
    node: Node, auth: SlowAuth, authenticator: Authenticator
) -> None:
    before = asyncio.create_task(authenticator.identify(node.context(), "right"))
    await auth.is_asked.wait()
    auth.role = "admin"
    authenticator.forget(None)
    after = asyncio.create_task(authenticator.identify(node.context(), "right"))
    auth.may_answer.set()

    assert "user" in (await before).identity.roles
    assert "admin" in (await after).identity.roles
    assert (await authenticator.identify(node.context(), "right")) == await after
