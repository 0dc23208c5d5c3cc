import asyncio
import json

import pytest

from fireside.contracts import auth_admin
from fireside.runtime.durable import Database
from tests.services.auth.house import ADMIN_EMAIL
from tests.services.gateway.door import Door, open_door


async def token(door: Door, email: str = ADMIN_EMAIL) -> str:
    return (await door.house.sign_in(email)).access_token


async def test_a_socket_can_bring_its_credential_as_a_header(door: Door) -> None:
    async with door.socket(headers={"authorization": f"Bearer {await token(door)}"}) as socket:
        assert (await socket.next())["type"] == "websocket.accept"
        assert await socket.ask("hello") == {"echo": "hello", "roles": ["admin"]}


async def test_a_page_can_bring_it_as_a_subprotocol_and_is_answered_with_the_name_alone(door: Door) -> None:
    async with door.socket(subprotocols=("bearer", await token(door))) as socket:
        accepted = await socket.next()
        assert accepted["subprotocol"] == "bearer"
        assert await socket.ask("hello") == {"echo": "hello", "roles": ["admin"]}


async def test_a_page_can_bring_it_in_the_first_message_of_which_the_route_sees_nothing(door: Door) -> None:
    async with door.socket() as socket:
        assert (await socket.next())["type"] == "websocket.accept"
        reply = await socket.ask(json.dumps({"type": "authenticate", "token": await token(door)}))
        assert reply == {"type": "authenticated"}
        assert await socket.ask("hello") == {"echo": "hello", "roles": ["admin"]}


@pytest.mark.parametrize(
    "first",
    [
        "hello",
        "[]",
        "{}",
        '{"type": "authenticate"}',
        '{"type": "authenticate", "token": ""}',
        '{"type": "authenticate", "token": 5}',
        '{"type": "ask", "token": "x"}',
        '{"type": "authenticate", "token": "made up"}',
        json.dumps({"type": "authenticate", "token": "x" * 5_000}),
    ],
)
async def test_a_socket_whose_first_message_brings_nothing_that_works_is_closed(door: Door, first: str) -> None:
    async with door.socket() as socket:
        await socket.next()
        closed = await socket.ask(first)

    assert (closed["type"], closed["code"]) == ("websocket.close", 4401)
    assert door.seen == []


async def test_a_socket_with_a_made_up_credential_is_not_even_accepted(door: Door) -> None:
    for options in ({"headers": {"authorization": "Bearer x"}}, {"subprotocols": ("bearer", "x")}):
        async with door.socket(**options) as socket:
            assert (await socket.next())["type"] == "websocket.close"


async def test_a_socket_that_stays_silent_is_closed(database: Database) -> None:
    async with open_door(database, first_message_s=0.01) as door, door.socket() as socket:
        await socket.next()
        assert (await socket.next())["code"] == 4401


async def test_a_socket_that_leaves_before_it_says_who_it_is_leaves_nothing_behind(door: Door) -> None:
    async with door.socket() as socket:
        await socket.next()

    assert door.seen == []


async def test_a_socket_is_closed_at_once_when_its_user_signs_out_without_any_message(door: Door) -> None:
    credential = await token(door)
    async with door.socket(headers={"authorization": f"Bearer {credential}"}) as socket:
        await socket.next()
        await door.client.post("/api/v1/auth/logout", headers={"authorization": f"Bearer {credential}"})
        closed = await socket.next()

    assert (closed["type"], closed["code"]) == ("websocket.close", 4401)
    assert {"left": 4401} in door.seen


async def test_a_socket_does_not_keep_an_old_role(door: Door) -> None:
    user = await door.house.add_user("ada@example.org", "editor")
    async with door.socket(headers={"authorization": f"Bearer {await token(door, 'ada@example.org')}"}) as socket:
        await socket.next()
        assert (await socket.ask("hello"))["roles"] == ["editor"]
        admin = await door.house.admin()
        await admin.call(auth_admin.UPDATE_USER, auth_admin.UpdateUser(id=user.id, role="viewer"))
        closed = await socket.next()

    assert (closed["code"], closed["reason"]) == (4401, "rights_changed")


async def test_a_socket_stays_open_when_something_harmless_changes(door: Door) -> None:
    bearer = await door.bearer()
    async with door.socket(headers=bearer) as socket:
        await socket.next()
        await door.client.patch("/api/v1/auth/me", json={"name": "Another name"}, headers=bearer)
        assert (await socket.ask("hello"))["echo"] == "hello"

    assert door.authenticator._watches == {}


async def test_a_socket_whose_token_has_expired_is_closed_at_its_next_message(door: Door) -> None:
    async with door.socket(headers=await door.bearer()) as socket:
        await socket.next()
        door.house.clock.pass_time(minutes=16)
        assert (await socket.ask("hello"))["code"] == 4401


async def test_messages_of_a_socket_count_as_requests(database: Database) -> None:
    async with open_door(database, user_rate="3/minute") as door:
        socket = door.socket(headers=await door.bearer())
        async with socket:
            await socket.next()
            for _ in range(2):
                assert (await socket.ask("hello"))["echo"] == "hello"
            assert (await socket.ask("hello"))["code"] == 4429


async def test_nothing_is_sent_through_a_socket_after_it_was_closed(door: Door) -> None:
    credential = await token(door)
    async with door.socket(headers={"authorization": f"Bearer {credential}"}) as socket:
        await socket.next()
        await door.client.post("/api/v1/auth/logout", headers={"authorization": f"Bearer {credential}"})
        assert (await socket.next())["type"] == "websocket.close"
        socket.say("anyone there?")
        await asyncio.sleep(0)
        assert socket._from_app.empty()
