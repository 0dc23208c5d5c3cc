"""Ways in that were found in systems of this kind (Open WebUI, LiteLLM, LibreChat, Onyx, 2024-2026), tried here.

Those that have a home of their own: roles that sockets keep (test_socket_authentication), limits that hold for one
header alone (test_rate_limits), grants that outlive a change (test_authentication), tokens of another service and keys
of another purpose (test_access_tokens, test_registration), objects of others (tests/journeys/test_matrix).
"""

import pytest

from fireside.runtime.durable import Database
from tests.databases import on_both_databases
from tests.services.auth.house import ADMIN_EMAIL, PASSWORD
from tests.services.gateway.door import Door, open_door

ADMINISTRATION = "/api/v1/admin/users"
JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    "host",
    [
        "fireside.test/api/v1/auth/token?",
        "fireside.test/health/live#",
        "localhost",
        "127.0.0.1",
        "fireside.test@evil.test",
        "",
    ],
)
async def test_no_host_header_opens_a_route(door: Door, host: str) -> None:
    assert (await door.get(ADMINISTRATION, {"host": host})).status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"x-original-url": "/api/v1/auth/token"},
        {"x-rewrite-url": "/health/live"},
        {"x-forwarded-path": "/health/live"},
        {"x-http-method-override": "OPTIONS"},
        {"x-forwarded-for": "127.0.0.1"},
        {"x-forwarded-host": "localhost"},
        {"forwarded": "for=127.0.0.1;host=localhost"},
        {"x-real-ip": "127.0.0.1"},
        {"cookie": "token=x; access_token=x; session=x"},
    ],
)
async def test_no_header_that_proxies_send_opens_a_route(door: Door, headers: dict[str, str]) -> None:
    assert (await door.get(ADMINISTRATION, headers)).status_code == 401


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/admin/users/",
        "//api/v1/admin/users",
        "/api//v1/admin/users",
        "/api/v1/auth/token/../../admin/users",
        "/api/v1/auth/token/%2e%2e/%2e%2e/admin/users",
        "/api/v1/auth/token;/../../admin/users",
        "/API/V1/ADMIN/USERS",
        "/api/v1/admin%2fusers",
        "/api/v1/admin/users%00",
        "/api/v1/admin/users%20",
        "/api/v1/admin/users.json",
        "/who/../api/v1/admin/users",
    ],
)
async def test_no_way_to_write_a_path_opens_a_route(door: Door, path: str) -> None:
    reply = await door.client.request("GET", door.client.base_url.copy_with(raw_path=path.encode()))

    assert reply.status_code in {401, 404}
    assert ADMIN_EMAIL not in reply.text


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "TRACE", "PROPFIND", "get"])
async def test_no_other_method_opens_a_route(door: Door, method: str) -> None:
    reply = await door.client.request(method, ADMINISTRATION)

    assert reply.status_code in {401, 405}
    assert ADMIN_EMAIL not in reply.text


async def test_a_reply_never_holds_a_hash_a_token_of_others_or_a_password(door: Door) -> None:
    await door.house.add_user("ada@example.org")
    admin = await door.bearer()
    for path in (ADMINISTRATION, "/api/v1/auth/me", "/api/v1/auth/sessions", "/api/v1/auth/api-keys"):
        text = (await door.get(path, admin)).text
        for secret in ("argon2", "hash", PASSWORD, "fsr_", "refresh"):
            assert secret not in text, path


@pytest.mark.parametrize("query", ["'", "' OR 1=1 --", '"; DROP TABLE auth_users; --', "%", "_", "\\", "${jndi:x}"])
async def test_what_is_searched_for_is_never_part_of_a_statement(door: Door, query: str) -> None:
    reply = await door.client.get(ADMINISTRATION, params={"query": query}, headers=await door.bearer())

    assert reply.status_code == 200
    assert reply.json()["items"] == []


@on_both_databases
@pytest.mark.requirement("S7")
async def test_control_characters_are_refused_wherever_they_come_in(door: Door) -> None:
    admin, form = await door.bearer(), {"grant_type": "password", "username": "a\x00@b.c", "password": "\x00" * 20}
    account = {"email": "a@b.c", "password": PASSWORD, "name": "A"}
    role = {"name": "r", "permissions": [], "description": "\x00"}
    replies = [
        await door.client.get(ADMINISTRATION, params={"query": "\x00"}, headers=admin),
        await door.client.get(ADMINISTRATION, params={"role": "\x00"}, headers=admin),
        await door.client.get(ADMINISTRATION, params={"cursor": "AAAA"}, headers=admin),
        await door.client.post(ADMINISTRATION, json={**account, "email": "a\x00@b.c"}, headers=admin),
        await door.client.post(ADMINISTRATION, json={**account, "name": "A\x00"}, headers=admin),
        await door.client.post("/api/v1/admin/roles", json=role, headers=admin),
        await door.client.post("/api/v1/auth/api-keys", json={"name": "\x7f"}, headers=admin),
        await door.client.post("/api/v1/auth/token", data=form),
        await door.client.post("/api/v1/auth/register", content=b'{"name": "\\ud800"}', headers=JSON),
    ]

    assert [reply.status_code for reply in replies] == [422] * len(replies)
    assert (await door.token(ADMIN_EMAIL, "\x00" * 20)).status_code == 401
    socket = door.socket()
    async with socket:
        await socket.next()
        closed = await socket.ask('{"type": "authenticate", "token": "fsk_\\u0000\\u0000\\u0000aaaaaaaaa_x"}')
    assert closed["code"] == 4401


async def test_names_are_kept_as_they_are_and_sent_as_data(door: Door) -> None:
    name = "<img src=x onerror=alert(1)>{{7*7}}${7*7}"
    body = {"email": "ada@example.org", "password": PASSWORD, "name": name}
    made = await door.client.post(ADMINISTRATION, json=body, headers=await door.bearer())

    assert made.json()["name"] == name
    assert made.headers["content-type"] == "application/json"
    assert made.headers["x-content-type-options"] == "nosniff"


async def test_an_address_cannot_carry_a_second_line(door: Door) -> None:
    body = {"email": "ada@example.org\r\nBcc: all@example.org", "password": PASSWORD, "name": "Ada"}

    assert (await door.client.post("/api/v1/auth/register", json=body)).status_code == 422


async def test_two_ways_to_write_one_address_are_one_account(door: Door) -> None:
    admin = await door.bearer()
    body = {"email": "straße@example.org", "password": PASSWORD, "name": "A"}
    assert (await door.client.post(ADMINISTRATION, json=body, headers=admin)).status_code == 201

    for email in ("STRASSE@example.org", "Straße@EXAMPLE.org", " straße@example.org "):
        again = await door.client.post(ADMINISTRATION, json={**body, "email": email}, headers=admin)
        assert (again.status_code, again.json()["code"]) == (409, "email_taken")


async def test_registering_takes_as_much_work_for_a_known_address(database: Database) -> None:
    async with open_door(database) as door:
        hashed: list[int] = []
        for email in ("new@example.org", ADMIN_EMAIL):
            before = door.house.hasher.hashed
            body = {"email": email, "password": PASSWORD, "name": "A"}
            assert (await door.client.post("/api/v1/auth/register", json=body)).status_code == 201
            hashed.append(door.house.hasher.hashed - before)

    assert hashed == [1, 1]
