"""The routes of identity over HTTP: the token endpoint as programs and as browsers use it, accounts, administration."""

import asyncio
from http.cookies import SimpleCookie
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from fireside.contracts.permissions import PERMISSIONS, ROLES
from fireside.core.ids import new_id
from fireside.runtime.durable import Database
from tests.services.auth.house import ADMIN_EMAIL, PASSWORD
from tests.services.gateway.door import BROWSER, Door, open_door

TOKEN = "/api/v1/auth/token"


def cookie_of(reply: httpx.Response) -> Any:
    """The refresh cookie that a reply sets."""
    return SimpleCookie(reply.headers["set-cookie"])["fireside_refresh"]


async def refresh(door: Door, token: str) -> httpx.Response:
    return await door.client.post(TOKEN, data={"grant_type": "refresh_token", "refresh_token": token})


async def refresh_in_browser(door: Door, cookie: str, **headers: str) -> httpx.Response:
    sent = {**BROWSER, **headers, "cookie": f"fireside_refresh={cookie}"}
    return await door.client.post(TOKEN, data={"grant_type": "refresh_token"}, headers=sent)


@pytest.mark.requirement("S2")
async def test_a_program_gets_both_tokens_in_the_reply(door: Door) -> None:
    reply = await door.token()

    assert reply.status_code == 200
    assert reply.json().keys() == {"access_token", "token_type", "expires_in", "refresh_token"}
    assert (reply.json()["token_type"], reply.json()["expires_in"]) == ("bearer", 900)
    assert reply.headers["cache-control"] == "no-store"
    assert "set-cookie" not in reply.headers


@pytest.mark.requirement("S1")
async def test_a_browser_gets_the_refresh_token_in_a_cookie_that_no_page_can_read(door: Door) -> None:
    reply = await door.token(**BROWSER)
    cookie = cookie_of(reply)

    assert "refresh_token" not in reply.json()
    assert cookie["httponly"]
    assert cookie["samesite"] == "strict"
    assert cookie["path"] == TOKEN
    assert int(cookie["max-age"]) == 30 * 86_400
    assert not cookie["secure"]


async def test_over_https_the_cookie_never_travels_without(database: Database) -> None:
    async with open_door(database, trusted_proxies=("10.0.0.1",)) as door:
        assert cookie_of(await door.token(**BROWSER, **{"x-forwarded-proto": "https"}))["secure"]


@pytest.mark.requirement("S1")
async def test_a_browser_renews_with_the_cookie_alone_and_the_old_one_ends_the_session(door: Door) -> None:
    first = cookie_of(await door.token(**BROWSER)).value
    renewed = await refresh_in_browser(door, first)
    second = cookie_of(renewed).value

    assert renewed.status_code == 200
    assert second != first
    assert (await refresh_in_browser(door, first)).status_code == 401
    assert (await refresh_in_browser(door, second)).status_code == 401
    assert (await door.get("/who", {"authorization": f"Bearer {renewed.json()['access_token']}"})).status_code == 401


async def test_two_tabs_that_renew_at_once_both_go_on(door: Door) -> None:
    first = cookie_of(await door.token(**BROWSER)).value

    replies = await asyncio.gather(*(refresh_in_browser(door, first) for _ in range(2)))

    assert [reply.status_code for reply in replies] == [200, 200]
    assert cookie_of(replies[0]).value == cookie_of(replies[1]).value


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "none"},
        {"sec-fetch-site": "cross-site", "origin": "http://fireside.test"},
    ],
)
async def test_another_site_cannot_make_a_browser_use_the_cookie(door: Door, headers: dict[str, str]) -> None:
    cookie = cookie_of(await door.token(**BROWSER)).value

    refused = await refresh_in_browser(door, cookie, **headers)

    assert (refused.status_code, refused.json()["code"]) == (403, "cross_site")
    assert "set-cookie" not in refused.headers
    assert (await refresh_in_browser(door, cookie)).status_code == 200


@pytest.mark.parametrize(
    "origin", ["http://evil.test", "null", "http://fireside.test.evil.test", "http://fireside.test:81"]
)
async def test_where_browsers_send_only_the_origin_it_has_to_be_this_server(door: Door, origin: str) -> None:
    form = {"grant_type": "password", "username": ADMIN_EMAIL, "password": PASSWORD}

    assert (await door.client.post(TOKEN, data=form, headers={"origin": origin})).status_code == 403
    assert (await door.client.post(TOKEN, data=form, headers={"origin": "http://fireside.test"})).status_code == 200


async def test_a_cookie_that_a_program_sends_counts_for_nothing(door: Door) -> None:
    cookie = cookie_of(await door.token(**BROWSER)).value
    headers = {"cookie": f"fireside_refresh={cookie}"}
    reply = await door.client.post(TOKEN, data={"grant_type": "refresh_token"}, headers=headers)

    assert (reply.status_code, reply.json()["error"]) == (400, "invalid_request")


@pytest.mark.parametrize(
    ("form", "status", "error"),
    [
        ({"grant_type": "password", "username": ADMIN_EMAIL, "password": "wrong"}, 401, "invalid_grant"),
        ({"grant_type": "password", "username": ADMIN_EMAIL}, 400, "invalid_request"),
        ({"grant_type": "password", "password": PASSWORD}, 400, "invalid_request"),
        ({"grant_type": "refresh_token", "refresh_token": "fsr_x"}, 401, "invalid_grant"),
        ({"grant_type": "refresh_token"}, 400, "invalid_request"),
        ({"grant_type": "implicit"}, 400, "unsupported_grant_type"),
        ({"grant_type": ""}, 422, None),
        ({}, 422, None),
    ],
)
@pytest.mark.requirement("S2")
async def test_errors_of_the_token_endpoint_carry_their_oauth_name_too(
    door: Door, form: dict[str, str], status: int, error: str | None
) -> None:
    reply = await door.client.post(TOKEN, data=form)

    assert (reply.status_code, reply.json().get("error")) == (status, error)
    if error:
        assert reply.json()["error_description"] == reply.json()["detail"]


async def test_the_answer_for_a_wrong_password_and_an_unknown_address_is_the_same_byte_for_byte(door: Door) -> None:
    same_id = {"x-request-id": "same-request-id"}
    wrong = await door.token(ADMIN_EMAIL, "wrong", **same_id)
    unknown = await door.token("nobody@example.org", "wrong", **same_id)

    assert (wrong.status_code, wrong.content) == (unknown.status_code, unknown.content)
    assert {**wrong.headers} == {**unknown.headers}


async def test_anybody_can_verify_an_access_token_with_the_published_keys(door: Door) -> None:
    configuration = (await door.get("/.well-known/openid-configuration")).json()
    keys = (await door.get("/.well-known/jwks.json")).json()
    token = jwt.decode((await door.token()).json()["access_token"], KeySet.import_key_set(keys))

    assert token.claims["iss"] == configuration["issuer"]
    assert token.claims["aud"] == "fireside"
    assert configuration["jwks_uri"].endswith("/.well-known/jwks.json")
    assert configuration["token_endpoint"].endswith(TOKEN)
    assert "role" not in str(token.claims)


async def test_the_published_addresses_do_not_follow_the_host_header(door: Door) -> None:
    configuration = await door.get("/.well-known/openid-configuration", {"host": "evil.test"})

    assert "evil.test" not in configuration.text


async def test_signing_out_ends_the_session_and_takes_the_cookie_away(door: Door) -> None:
    signed_in = await door.token(**BROWSER)
    bearer = {"authorization": f"Bearer {signed_in.json()['access_token']}"}

    reply = await door.client.post("/api/v1/auth/logout", headers=bearer)

    assert reply.status_code == 204
    assert (cookie_of(reply).value, cookie_of(reply)["max-age"]) == ("", "0")
    assert (await refresh_in_browser(door, cookie_of(signed_in).value)).status_code == 401


async def test_the_set_up_link_works_once_over_http(database: Database) -> None:
    async with open_door(database, auth={"admin_email": ""}) as door:
        assert (await door.get("/api/v1/auth/setup")).json() == {"required": True, "registration": "open"}
        body = {"token": door.house.announced[0], "email": "me@example.org", "password": PASSWORD, "name": "Me"}

        first = await door.client.post("/api/v1/auth/setup", json=body)
        second = await door.client.post("/api/v1/auth/setup", json=body)

        assert (first.status_code, first.json()["role"]) == (201, "admin")
        assert second.status_code == 403
        assert (await door.get("/api/v1/auth/setup")).json()["required"] is False


async def test_an_account_from_registration_to_a_new_password(door: Door) -> None:
    body = {
        "email": "ada@example.org",
        "password": PASSWORD,
        "name": "Ada",
        "role": "admin",
        "client": {"address": "x"},
    }
    registered = await door.client.post("/api/v1/auth/register", json=body)
    ada = await door.bearer("ada@example.org")
    renamed = await door.client.patch("/api/v1/auth/me", json={"name": "Ada L.", "role": "admin"}, headers=ada)
    change = {"current_password": PASSWORD, "new_password": "the next password"}
    changed = await door.client.post("/api/v1/auth/password", json=change, headers=ada)
    me = (await door.get("/api/v1/auth/me", ada)).json()

    assert (registered.status_code, registered.json()["role"]) == (201, "user")
    assert (renamed.status_code, changed.status_code) == (200, 204)
    assert (me["name"], me["role"], me["email"], me["id"]) == (
        "Ada L.",
        "user",
        "ada@example.org",
        registered.json()["id"],
    )
    assert frozenset(me["permissions"]) == ROLES["user"]
    assert "password" not in registered.text
    assert (await door.token("ada@example.org", "the next password")).status_code == 200


async def test_sessions_are_listed_and_ended_over_http(door: Door) -> None:
    here, there = await door.bearer(), await door.bearer()
    listed = (await door.get("/api/v1/auth/sessions", here)).json()
    other = next(item["id"] for item in listed["items"] if not item["current"])

    assert len(listed["items"]) == 2
    assert (await door.client.delete(f"/api/v1/auth/sessions/{other}", headers=here)).status_code == 204
    assert (await door.get("/who", there)).status_code == 401
    assert (await door.client.delete(f"/api/v1/auth/sessions/{other}", headers=here)).status_code == 404
    assert (await door.client.delete("/api/v1/auth/sessions/x", headers=here)).status_code == 422


async def test_keys_are_made_listed_and_deleted_over_http(door: Door) -> None:
    bearer = await door.bearer()
    made = await door.client.post("/api/v1/auth/api-keys", json={"name": "k", "scopes": ["chat:read"]}, headers=bearer)
    listed = (await door.get("/api/v1/auth/api-keys", bearer)).json()["items"]

    assert made.status_code == 201
    assert made.json()["key"].startswith(listed[0]["prefix"])
    assert "key" not in listed[0]
    wider = await door.client.post("/api/v1/auth/api-keys", json={"name": "k", "scopes": ["x:y"]}, headers=bearer)
    assert (wider.status_code, wider.json()["errors"][0]["field"]) == (422, "scopes")
    naive = {"name": "k", "expires_at": "2030-01-01T00:00:00"}
    assert (await door.client.post("/api/v1/auth/api-keys", json=naive, headers=bearer)).status_code == 422
    assert (await door.client.delete(f"/api/v1/auth/api-keys/{listed[0]['id']}", headers=bearer)).status_code == 204
    assert (await door.get("/api/v1/auth/api-keys", bearer)).json()["items"] == []


async def test_users_are_administered_over_http(door: Door) -> None:
    admin = await door.bearer()
    body = {"email": "ada@example.org", "password": PASSWORD, "name": "Ada"}
    made = await door.client.post("/api/v1/admin/users", json=body, headers=admin)
    path = f"/api/v1/admin/users/{made.json()['id']}"

    assert (made.status_code, made.json()["role"]) == (201, "user")
    assert (await door.client.post("/api/v1/admin/users", json=body, headers=admin)).status_code == 409
    found = (await door.get("/api/v1/admin/users?query=ada&role=user&state=active&limit=1", admin)).json()
    assert [user["email"] for user in found["items"]] == ["ada@example.org"]
    assert (await door.get("/api/v1/admin/users?limit=0", admin)).status_code == 422
    assert (await door.get(path, admin)).json() == made.json()
    assert (await door.client.patch(path, json={"role": "editor"}, headers=admin)).json()["role"] == "editor"
    assert (await door.client.post(f"{path}/lock", headers=admin)).json()["state"] == "locked"
    assert (await door.client.post(f"{path}/unlock", headers=admin)).json()["state"] == "active"
    assert (await door.client.delete(path, headers=admin)).status_code == 204
    assert (await door.get(path, admin)).status_code == 404


async def test_roles_and_invitations_are_administered_over_http(door: Door) -> None:
    admin = await door.bearer()
    role = {"name": "auditor", "permissions": ["audit:read"]}
    assert (await door.client.post("/api/v1/admin/roles", json=role, headers=admin)).status_code == 201
    changed = await door.client.patch("/api/v1/admin/roles/auditor", json={"permissions": ["chat:read"]}, headers=admin)
    assert changed.json()["permissions"] == ["chat:read"]
    await door.house.add_user("ada@example.org", "auditor")
    in_use = await door.client.delete("/api/v1/admin/roles/auditor", headers=admin)
    assert (in_use.status_code, in_use.json()["code"]) == (409, "role_in_use")
    for name, status in (("nobody", 404), ("admin", 409), ("Not%20A%20Role", 422)):
        assert (await door.client.delete(f"/api/v1/admin/roles/{name}", headers=admin)).status_code == status
    assert len((await door.get("/api/v1/admin/roles", admin)).json()["items"]) == 5
    assert len((await door.get("/api/v1/admin/permissions", admin)).json()["items"]) == len(PERMISSIONS)

    invited = await door.client.post("/api/v1/admin/invitations", json={"email": "bob@example.org"}, headers=admin)
    assert invited.status_code == 201
    [listed] = (await door.get("/api/v1/admin/invitations", admin)).json()["items"]
    assert "token" not in listed
    assert (await door.client.delete(f"/api/v1/admin/invitations/{listed['id']}", headers=admin)).status_code == 204
    assert (await door.client.delete(f"/api/v1/admin/invitations/{new_id()}", headers=admin)).status_code == 404


async def test_the_user_behind_a_request_is_never_taken_from_its_body(door: Door) -> None:
    user = await door.house.add_user("ada@example.org")
    admin = await door.bearer()
    body = {"name": "k", "user_id": str(user.id), "owner_id": str(user.id)}
    key = (await door.client.post("/api/v1/auth/api-keys", json=body, headers=admin)).json()["key"]

    assert (await door.get("/who", {"x-api-key": key})).json()["user"] != str(user.id)
