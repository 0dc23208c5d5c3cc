"""Headers of every reply, sizes of bodies, and other sites."""

import pytest

from fireside.runtime.durable import Database
from tests.services.gateway.door import Door, open_door


async def sent(door: Door, path: str, size: int, headers: dict[str, str]) -> int:
    """The status of a reply to so many bytes."""
    return (await door.client.post(path, content=b"x" * size, headers=headers)).status_code


@pytest.mark.requirement("S7")
@pytest.mark.parametrize("path", ["/who", "/nowhere", "/broken", "/api/v1/auth/me", "/.well-known/jwks.json"])
async def test_every_reply_keeps_browsers_from_doing_more_with_it_than_they_should(door: Door, path: str) -> None:
    headers = (await door.get(path)).headers

    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "strict-transport-security" not in headers
    assert "server" not in headers


async def test_a_body_that_says_it_is_too_large_is_refused_before_it_is_read(database: Database) -> None:
    async with open_door(database, max_anonymous_body_bytes=10, max_body_bytes=100, max_upload_bytes=1_000) as door:
        known = await door.house_bearer()
        sizes = {size: await sent(door, "/length", size, known) for size in (100, 101)}
        strangers = {size: await sent(door, "/api/v1/documents", size, {}) for size in (10, 11)}
        upload = await door.client.post("/api/v1/documents", content=b"x" * 1_000, headers=known)
        larger = await door.client.post("/api/v1/documents", content=b"x" * 1_001, headers=known)

    assert sizes == {100: 200, 101: 413}
    assert strangers == {10: 200, 11: 413}
    assert (upload.status_code, larger.status_code) == (200, 413)
    assert larger.json()["code"] == "body_too_large"
    assert larger.json()["max_bytes"] == 1_000


async def test_a_body_of_unknown_length_is_counted_while_it_comes(database: Database) -> None:
    async def pieces():
        for _ in range(20):
            yield b"x" * 10

    async with open_door(database, max_body_bytes=100) as door:
        reply = await door.client.post("/length", content=pieces(), headers=await door.house_bearer())

    assert (reply.status_code, reply.json()["code"]) == (413, "body_too_large")


@pytest.mark.parametrize("length", ["-1", "ten", "1e9"])
async def test_a_length_that_is_no_number_is_refused(door: Door, length: str) -> None:
    assert (await door.client.post("/length", content=b"x", headers={"content-length": length})).status_code == 413


async def test_the_limit_of_uploads_holds_for_their_own_path_alone(database: Database) -> None:
    async with open_door(database, max_body_bytes=100) as door:
        known = await door.house_bearer()
        for path in ("/api/v1/documents/", "/api/v1/documents/x", "/length"):
            assert await sent(door, path, 101, known) == 413


async def test_other_sites_may_not_call_unless_the_settings_name_them(door: Door) -> None:
    asked = {"origin": "https://elsewhere.test", "access-control-request-method": "POST"}
    preflight = await door.client.options("/who", headers=asked)
    reply = await door.get("/who", {"origin": "https://elsewhere.test"})

    assert preflight.status_code == 405
    assert not [name for name in (*preflight.headers, *reply.headers) if name.startswith("access-control")]


async def test_a_named_site_may_call_with_a_key_but_never_with_cookies(database: Database) -> None:
    async with open_door(database, allowed_origins=("https://portal.test",)) as door:
        asked = {"access-control-request-method": "POST", "access-control-request-headers": "authorization"}
        allowed = await door.client.options("/who", headers={"origin": "https://portal.test", **asked})
        refused = await door.client.options("/who", headers={"origin": "https://elsewhere.test", **asked})
        reply = await door.get("/who", {"origin": "https://portal.test"})

    assert allowed.headers["access-control-allow-origin"] == "https://portal.test"
    assert "access-control-allow-credentials" not in allowed.headers
    assert refused.status_code == 400
    assert "access-control-allow-origin" not in refused.headers
    assert reply.headers["access-control-allow-origin"] == "https://portal.test"
    assert reply.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "sent",
    [
        "authorization,content-type,openai-organization,openai-project,x-stainless-arch,x-stainless-retry-count",
        "anthropic-dangerous-direct-browser-access,anthropic-version,content-type,x-api-key,x-stainless-timeout",
    ],
)
async def test_a_named_site_may_send_the_headers_that_libraries_of_clients_bring(database: Database, sent: str) -> None:
    asked = {"access-control-request-method": "POST", "access-control-request-headers": sent}
    async with open_door(database, allowed_origins=("https://portal.test",)) as door:
        allowed = await door.client.options("/who", headers={"origin": "https://portal.test", **asked})
        refused = await door.client.options("/who", headers={"origin": "https://elsewhere.test", **asked})

    assert (allowed.status_code, refused.status_code) == (200, 400)
    assert allowed.headers["access-control-allow-headers"] == sent
    assert "access-control-allow-credentials" not in allowed.headers
    assert "access-control-allow-origin" not in refused.headers
