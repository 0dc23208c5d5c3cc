"""The application as a whole: the page, its files, the OpenAPI document, addresses that lead nowhere."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from fastapi import APIRouter

from fireside.contracts.permissions import ACCESS_FIELD
from fireside.core.identity import ANONYMOUS
from tests.services.gateway.gateway_house import POLICY, gateway


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    (tmp_path / "index.html").write_text("<title>Fireside</title>")
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "app.js").write_text("export {};")
    async with gateway(page=tmp_path, files=("/scripts/",), identity=ANONYMOUS) as client:
        yield client


@pytest.mark.parametrize("path", ["/", "/documents/7"])
async def test_the_page_answers_its_addresses_with_its_own_policy(client: httpx.AsyncClient, path: str) -> None:
    reply = await client.get(path)

    assert reply.text == "<title>Fireside</title>"
    assert reply.headers["content-security-policy"] == POLICY
    assert reply.headers["cache-control"] == "no-cache"
    assert reply.headers["content-type"].startswith("text/html")


async def test_the_head_of_the_page_can_be_asked_for(client: httpx.AsyncClient) -> None:
    head = await client.head("/")

    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len("<title>Fireside</title>"))


async def test_a_file_is_asked_about_each_time_and_sent_once(client: httpx.AsyncClient) -> None:
    first = await client.get("/scripts/app.js")
    again = await client.get("/scripts/app.js", headers={"if-none-match": first.headers["etag"]})

    assert first.headers["cache-control"] == "no-cache"
    assert "javascript" in first.headers["content-type"]
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("path", ["/nowhere", "/scripts/none.js", "/api/v1/nowhere", "/scripts/../../secret"])
async def test_an_address_that_leads_nowhere_is_a_problem(client: httpx.AsyncClient, path: str) -> None:
    reply = await client.get(path)

    assert reply.status_code == 404
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.json()["code"] == "not_found"


@pytest.mark.parametrize("path", ["/%2e%2e/secret.txt", "/scripts/%2e%2e/%2e%2e/secret.txt", "//etc/passwd"])
async def test_nothing_outside_of_the_pages_folder_is_served(
    client: httpx.AsyncClient, path: str, tmp_path: Path
) -> None:
    (tmp_path.parent / "secret.txt").write_text("secret")

    assert (await client.get(path)).status_code == 404


async def test_a_method_that_an_address_does_not_know_is_a_problem(client: httpx.AsyncClient) -> None:
    reply = await client.post("/health/live")

    assert reply.status_code == 405
    assert reply.json()["code"] == "method_not_allowed"
    assert "GET" in reply.headers["allow"]


async def test_all_methods_of_an_address_are_named_though_each_is_a_route_of_its_own(tmp_path: Path) -> None:
    router = APIRouter(prefix="/things")
    for method in ("GET", "POST"):
        router.add_api_route("", lambda: None, methods=[method], openapi_extra={ACCESS_FIELD: "public"})

    async with gateway(page=tmp_path, identity=ANONYMOUS, routers=(router,)) as client:
        reply = await client.delete("/things")

    assert (reply.status_code, reply.headers["allow"]) == (405, "GET, POST")


async def test_no_address_is_sent_on_to_another_host(client: httpx.AsyncClient) -> None:
    reply = await client.get("/health/live/", headers={"host": "evil.example"})

    assert reply.status_code == 404
    assert "location" not in reply.headers


@pytest.mark.requirement("P21")
async def test_every_operation_of_the_document_declares_its_access(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()

    undeclared = [
        f"{method} {path}"
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if "x-fireside-access" not in operation
    ]
    assert document["paths"]
    assert undeclared == []


async def test_the_bodies_that_routes_read_themselves_are_described(client: httpx.AsyncClient) -> None:
    paths = (await client.get("/openapi.json")).json()["paths"]

    body = paths["/v1/chat/completions"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert body["required"] == ["model", "messages"]
    assert body["properties"]["messages"]["items"]["properties"]["role"]["enum"][0] == "system"
    assert "$ref" not in str(body)
    assert "input" in str(paths["/v1/embeddings"]["post"]["requestBody"])
