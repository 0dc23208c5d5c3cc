"""The short way to routes: which take it, and that nothing is lost on it."""

import asyncio
from collections.abc import AsyncGenerator

import pytest
from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.types import Message

from fireside.contracts.permissions import MODELS_USE, ROLES, route_access
from fireside.core.errors import ForbiddenError, UnavailableError
from fireside.core.identity import user_identity
from fireside.services.gateway import anthropic_routes, ollama_routes, openai_routes, responses_routes
from fireside.services.gateway.access import UndeclaredAccessError
from fireside.services.gateway.direct import direct_routes
from fireside.services.gateway.replies import StreamedReply
from tests.services.gateway.gateway_house import USER_ID, FakeChat, FakeEmbeddings, FakeInference, gateway


async def plain(request: Request) -> Response:
    return Response(await request.body())


async def with_a_parameter(request: Request, name: str) -> Response:
    return Response(name)


async def with_a_body_for_the_framework(request: Request) -> dict[str, str]:
    return {}


def test_only_routes_that_read_and_write_themselves_go_the_short_way() -> None:
    routes = APIRouter(prefix="/x")
    routes.add_api_route("/plain", plain, methods=["POST", "PUT"])
    routes.add_api_route("/named/{name}", with_a_parameter, methods=["POST"])
    routes.add_api_route("/body", with_a_body_for_the_framework, methods=["POST"])

    assert set(direct_routes(routes.routes)) == {("POST", "/x/plain"), ("PUT", "/x/plain")}


def test_what_is_asked_most_in_every_dialect_goes_the_short_way() -> None:
    dialects = (openai_routes, responses_routes, anthropic_routes, ollama_routes)
    found = {path for module in dialects for _, path in direct_routes(module.routes().routes)}

    assert found >= {
        "/v1/chat/completions",
        "/v1/completions",
        "/v1/embeddings",
        "/v1/responses",
        "/v1/messages",
        "/api/chat",
        "/api/generate",
    }


@pytest.mark.parametrize("access", [None, MODELS_USE])
async def test_the_short_way_asks_for_the_declared_access(access: str | None) -> None:
    routes = APIRouter()
    routes.add_api_route("/plain", plain, methods=["POST"], openapi_extra=route_access(access) if access else None)
    require = direct_routes(routes.routes)["POST", "/plain"].require

    with pytest.raises(UndeclaredAccessError if access is None else ForbiddenError):
        require(user_identity(USER_ID, roles=[], permissions=[]))
    if access:
        require(user_identity(USER_ID, roles=["user"], permissions=ROLES["user"]))


async def test_strangers_are_refused_before_their_input_is_looked_at() -> None:
    bystander = user_identity(USER_ID, roles=[], permissions=[])
    async with gateway(FakeInference(), identity=bystander) as client:
        reply = await client.post("/v1/chat/completions", content=b"no json")

    assert reply.status_code == 403


async def test_another_method_is_told_which_there_are() -> None:
    async with gateway(FakeInference()) as client:
        reply = await client.put("/v1/chat/completions")

    assert (reply.status_code, reply.headers["allow"]) == (405, "POST")


async def test_every_short_way_is_in_the_document_of_the_interface() -> None:
    async with gateway(FakeInference(), FakeChat(), FakeEmbeddings()) as client:
        paths = (await client.get("/openapi.json")).json()["paths"]

    for module in (openai_routes, responses_routes, anthropic_routes, ollama_routes):
        for method, path in direct_routes(module.routes().routes):
            assert method.lower() in paths[path]


async def test_a_stream_that_fails_before_its_first_piece_raises_and_sends_nothing() -> None:
    async def chunks() -> AsyncGenerator[bytes, None]:
        raise UnavailableError("not now")
        yield b""

    sent: list[Message] = []

    async def receive() -> Message:
        await asyncio.Event().wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    with pytest.raises(UnavailableError):
        await StreamedReply(chunks(), "text/plain")({}, receive, send)
    assert sent == []
