"""Finding a server, and what is said when it cannot be spoken to."""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from fireside.cli.connection import Address, CommandError, Connection, RefusedError, connect, find_server


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "server.json").write_text(json.dumps({"url": "http://127.0.0.1:8080"}))
    (tmp_path / "cli.key").write_text("fsk_local\n")
    return tmp_path


def test_the_server_of_the_data_folder_needs_no_login(home: Path) -> None:
    assert find_server(url=None, key=None, home=home) == Address("http://127.0.0.1:8080", "fsk_local")


def test_a_key_that_is_given_wins(home: Path) -> None:
    assert find_server(url=None, key="fsk_mine", home=home).key == "fsk_mine"


def test_the_key_of_this_machine_never_goes_to_another(home: Path) -> None:
    with pytest.raises(CommandError, match="no key"):
        find_server(url="https://elsewhere.example.org", key=None, home=home)


def test_the_environment_names_server_and_key(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRESIDE_SERVER", "https://elsewhere.example.org/")
    with pytest.raises(CommandError, match="no key"):
        find_server(url=None, key=None, home=home)

    monkeypatch.setenv("FIRESIDE_KEY", "fsk_env")
    assert find_server(url=None, key=None, home=home) == Address("https://elsewhere.example.org", "fsk_env")


def test_a_server_without_scheme_is_spoken_to_over_http(home: Path) -> None:
    assert find_server(url="host:8080", key="k", home=home).url == "http://host:8080"


def test_a_data_folder_without_key_says_where_to_get_one(home: Path) -> None:
    (home / "cli.key").unlink()

    with pytest.raises(CommandError, match="keys create"):
        find_server(url=None, key=None, home=home)


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def speak(handler: Handler, work: Callable[[Connection], Awaitable[object]]) -> object:
    """Do something with a server that answers everything with this handler."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    async with (
        TestServer(app) as server,
        connect(Address(str(server.make_url("/")).rstrip("/"), "fsk_k")) as connection,
    ):
        return await work(connection)


async def test_a_problem_is_told_in_the_servers_words() -> None:
    async def full(_: web.Request) -> web.Response:
        problem = {"title": "Too Many Requests", "detail": "600 requests a minute are allowed"}
        return web.json_response(problem, status=429, headers={"Retry-After": "7"})

    with pytest.raises(RefusedError, match=r"600 requests a minute are allowed \(try again in 7 s\)") as refused:
        await speak(full, lambda connection: connection.json("GET", "/api/v1/jobs"))
    assert refused.value.status == 429


async def test_a_refused_key_says_where_to_get_another() -> None:
    async def closed(_: web.Request) -> web.Response:
        return web.json_response({"title": "Unauthorized", "detail": "The key has ended."}, status=401)

    with pytest.raises(RefusedError, match=r"The key has ended\. .*keys create"):
        await speak(closed, lambda connection: connection.json("GET", "/api/v1/jobs"))


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]"])
async def test_a_refusal_that_is_no_problem_is_told_by_its_status(body: bytes) -> None:
    async def broken(_: web.Request) -> web.Response:
        return web.Response(body=body, status=502)

    with pytest.raises(RefusedError, match="the server answered 502"):
        await speak(broken, lambda connection: connection.json("GET", "/"))


async def test_something_else_than_fireside_is_noticed() -> None:
    async def page(_: web.Request) -> web.Response:
        return web.Response(text="<html>", content_type="text/html")

    with pytest.raises(CommandError, match="is no Fireside"):
        await speak(page, lambda connection: connection.json("GET", "/api/v1/jobs"))


async def test_an_answer_that_breaks_off_is_told() -> None:
    async def breaking(request: web.Request) -> web.StreamResponse:
        reply = web.StreamResponse(headers={"content-length": "1000"})
        await reply.prepare(request)
        await reply.write(b'{"type":"token","text":"Hel"}\n')
        assert request.transport is not None
        request.transport.close()
        return reply

    async def read(connection: Connection) -> None:
        async for _ in connection.events("/api/v1/conversations/1/messages", {}):
            pass

    with pytest.raises(CommandError, match="broke"):
        await speak(breaking, read)


async def test_all_pages_of_a_list_are_read_with_the_key() -> None:
    seen: list[tuple[str | None, str | None]] = []

    async def pages(request: web.Request) -> web.Response:
        cursor = request.query.get("cursor")
        seen.append((request.headers.get("authorization"), cursor))
        following = {None: "2", "2": "3", "3": None}[cursor]
        return web.json_response({"items": [{"id": cursor or "1"}], "next_cursor": following})

    async def read(connection: Connection) -> list[str]:
        return [item["id"] async for item in connection.items("/api/v1/jobs")]

    assert await speak(pages, read) == ["1", "2", "3"]
    assert seen == [("Bearer fsk_k", None), ("Bearer fsk_k", "2"), ("Bearer fsk_k", "3")]


async def test_an_address_that_is_none_is_told() -> None:
    async with connect(Address("http://:::", "k")) as connection:
        with pytest.raises(CommandError, match="is no address"):
            await connection.json("GET", "/")
