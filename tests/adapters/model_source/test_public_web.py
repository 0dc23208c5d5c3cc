"""What a user names must not reach into the network that Fireside runs in."""

import socket
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from fireside.adapters.model_source.public_web import PublicWeb
from fireside.ports.model_source import (
    BrokenDownloadError,
    InvalidSourceError,
    ModelNotAtSourceError,
    SourceForbiddenError,
)


@pytest.fixture
async def open_web() -> AsyncIterator[PublicWeb]:
    client = PublicWeb()
    yield client
    await client.aclose()


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/x",
        "https://127.0.0.1/x",
        "https://10.1.2.3/x",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/x",
        "https://[::ffff:10.0.0.1]/x",
        "https://[64:ff9b::7f00:1]/x",
        "https://[2002:7f00:1::]/x",
        "https://[fe80::1]/x",
        "https://0.0.0.0/x",
        "https://224.0.0.1/x",
    ],
)
def test_addresses_that_are_not_public_are_refused_without_asking(open_web: PublicWeb, url: str) -> None:
    with pytest.raises(SourceForbiddenError):
        open_web.check(url)


@pytest.mark.parametrize(
    "url", ["ftp://example.com/x", "https:///x", "https://user:pw@example.com/x", "https://a:b:c/"]
)
def test_what_is_no_plain_url_of_a_web_server_is_refused(open_web: PublicWeb, url: str) -> None:
    with pytest.raises(InvalidSourceError):
        open_web.check(url)


@pytest.mark.requirement("I6")
async def test_a_name_that_means_an_inner_address_is_refused_when_it_is_resolved(open_web: PublicWeb) -> None:
    with pytest.raises(SourceForbiddenError, match="TRUSTED_HOSTS"):
        await open_web.body("https://localhost:1/x")
    for strange in ("2130706433", "127.1", "0x7f.1"):
        with pytest.raises((SourceForbiddenError, BrokenDownloadError)):
            await open_web.body(f"https://{strange}:1/x")


@pytest.fixture
async def inner_server() -> AsyncIterator[str]:
    """A trusted server that redirects wherever it is told."""

    async def answer(request: web.Request) -> web.Response:
        if target := request.query.get("to"):
            raise web.HTTPFound(target)
        return web.json_response(dict(request.headers))

    async def long(_request: web.Request) -> web.Response:
        return web.Response(body=bytes(100_000))

    async def circle(_request: web.Request) -> web.Response:
        raise web.HTTPFound("/circle")

    app = web.Application()
    app.router.add_get("/circle", circle)
    app.router.add_get("/", answer)
    app.router.add_get("/long", long)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    listening = socket.create_server(("127.0.0.1", 0))
    await web.SockSite(runner, listening).start()
    yield f"127.0.0.1:{listening.getsockname()[1]}"
    await runner.cleanup()


async def test_a_redirect_into_the_inner_network_is_refused(inner_server: str) -> None:
    client = PublicWeb([inner_server])
    try:
        for target in ("https://127.0.0.1:1/", "http://localhost/", "https://localhost:1/", "file:///etc/passwd"):
            with pytest.raises((SourceForbiddenError, InvalidSourceError)):
                await client.body(f"http://{inner_server}/?to={target}")
        with pytest.raises(BrokenDownloadError, match="circle"):
            await client.body(f"http://{inner_server}/circle")
    finally:
        await client.aclose()


async def test_a_token_is_not_handed_on_to_another_host(inner_server: str) -> None:
    port = inner_server.partition(":")[2]
    client = PublicWeb([inner_server, f"localhost:{port}"])
    headers = {"authorization": "Bearer hf_secret"}
    try:
        same = await client.json(f"http://{inner_server}/?to=/", headers=headers)
        other = await client.json(f"http://{inner_server}/?to=http://localhost:{port}/", headers=headers)
    finally:
        await client.aclose()

    assert {name.lower() for name in same} >= {"authorization"}
    assert "authorization" not in {name.lower() for name in other}


async def test_replies_are_bounded_and_refusals_told_apart(inner_server: str) -> None:
    client = PublicWeb([inner_server])
    try:
        with pytest.raises(BrokenDownloadError, match="more than"):
            await client.body(f"http://{inner_server}/long", max_bytes=1000)
        with pytest.raises(BrokenDownloadError, match="JSON"):
            await client.json(f"http://{inner_server}/long")
        with pytest.raises(ModelNotAtSourceError):
            await client.body(f"http://{inner_server}/nothing")
    finally:
        await client.aclose()
