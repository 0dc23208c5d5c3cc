"""Every route, asked by everyone, with every credential, in every header: generated from the OpenAPI document.

A new route takes part by itself. It fails here when it declares no access, when it enforces another than it declares,
when it tells somebody's objects from ones that never were, or when what it is about is unknown to `matrix_objects`.
"""

import json
import uuid
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.types import ASGIApp

from fireside import web
from fireside.bootstrap.environment import read_settings
from fireside.bootstrap.house import open_house
from fireside.bootstrap.parts import make_parts
from fireside.bootstrap.routers import make_routers, web_page
from fireside.bootstrap.server import make_application
from fireside.bootstrap.settings import Settings
from fireside.contracts.permissions import ACCESS_FIELD, EDITOR, USER
from fireside.runtime.health import Health
from fireside.runtime.live import SettingsBook
from fireside.services.gateway.app import create_app
from fireside.services.gateway.probes import Probes
from tests.boxes import BOX
from tests.journeys.matrix_callers import ADMIN_EMAIL, PASSWORD, Caller, People
from tests.journeys.matrix_objects import SEARCHED_WORD, SECRET_WORD, SEEN_BY_MANAGERS, Belongings
from tests.journeys.matrix_operations import (
    Operation,
    failed,
    operations,
    refusal,
    send,
    undeclared,
    without,
)
from tests.services.gateway.door import Socket

UNLIMITED = "1000000/second"
RATES = ("USER", "CREDENTIAL", "ANONYMOUS", "SIGN_IN", "FAILED")


@dataclass
class Matrix:
    """A whole Fireside in this process, and everyone who may ask it."""

    application: ASGIApp
    client: httpx.AsyncClient
    document: dict[str, Any]
    people: People

    @property
    def operations(self) -> list[Operation]:
        return operations(self.document)

    @property
    def path_parameters(self) -> set[str]:
        return {name for operation in self.operations for name in operation.path_parameters}

    async def owner(self) -> tuple[Caller, Belongings]:
        """Someone with things of their own; an editor, because others have no collections to name."""
        owner = await self.people.caller("owner", EDITOR)

        async def sign_in() -> None:
            await self.people.bearer("owner@example.org")

        return owner, Belongings(self.client, owner.headers, sign_in)


@pytest.fixture
async def matrix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Matrix]:
    monkeypatch.setenv("FIRESIDE_ADMIN_EMAIL", ADMIN_EMAIL)
    monkeypatch.setenv("FIRESIDE_ADMIN_PASSWORD", PASSWORD)
    monkeypatch.setenv("FIRESIDE_INFERENCE_ENGINE", "off")
    monkeypatch.setenv("FIRESIDE_AUTH_FREE_ATTEMPTS", "1000")
    for rate in RATES:
        monkeypatch.setenv(f"FIRESIDE_GATEWAY_{rate}_RATE", UNLIMITED)
    parts = make_parts(Settings(home=tmp_path), announce_setup=lambda _: None)
    async with open_house(parts) as node:
        application = make_application(node, parts)
        transport = httpx.ASGITransport(application, client=("10.0.0.1", 1234))
        async with httpx.AsyncClient(transport=transport, base_url="http://fireside.test", timeout=60) as client:
            document = (await client.get("/openapi.json")).json()
            yield Matrix(application, client, document, People(client))


@pytest.mark.requirement("S4")
async def test_every_route_admits_exactly_those_it_declares_with_every_credential_in_every_header(
    matrix: Matrix,
) -> None:
    assert undeclared(matrix.document) == []
    wrong, tried = [], 0
    callers = [*await matrix.people.everyone(), (await matrix.owner())[0]]
    for operation in matrix.operations:
        for caller in callers:
            for credential, headers in caller.credentials.items():
                reply = await send(matrix.client, operation, headers=headers)
                expected = caller.expected_refusal(operation)
                tried += 1
                if refusal(reply) != expected or failed(reply):
                    wrong.append(f"{operation} by {caller.name} ({credential}): {reply.status_code}, not {expected}")

    assert wrong == []
    assert tried > 20 * len(matrix.operations)


@pytest.mark.requirement("S4")
async def test_somebody_elses_object_cannot_be_told_from_one_that_never_was(matrix: Matrix) -> None:
    owner, belongings = await matrix.owner()
    others = [caller for caller in await matrix.people.everyone() if caller.permissions]
    wrong: list[str] = []
    for operation in matrix.operations:
        assert belongings.unknown(operation.path_parameters) == [], f"{operation}: whose is this?"
        names = belongings.owned(operation.path_parameters)
        if not names:
            continue
        objects = {name: await belongings.make(name) for name in names}
        for caller in others:
            if caller.expected_refusal(operation) is None and not _may_see(caller, names):
                wrong += await _differences(matrix, operation, caller, objects)
        if not await _knows(matrix, operation, owner, objects):
            wrong.append(f"{operation} does not know its owner's object")

    assert wrong == []


def _may_see(caller: Caller, names: list[str]) -> bool:
    return any(SEEN_BY_MANAGERS.get(name) in (caller.permissions or ()) for name in names)


async def _differences(matrix: Matrix, operation: Operation, caller: Caller, objects: dict[str, str]) -> list[str]:
    theirs, never_was = await _said(matrix, operation, caller, objects), await _said(matrix, operation, caller, None)
    if theirs[0] == 404 and theirs == never_was:
        return []
    return [f"{operation} by {caller.name}: {theirs} instead of {never_was}"]


async def _knows(matrix: Matrix, operation: Operation, owner: Caller, objects: dict[str, str]) -> bool:
    """Whether the owner is answered otherwise than about what never was: else the test would prove nothing."""
    never_was = await _said(matrix, operation, owner, None)
    mine = await _said(matrix, operation, owner, objects)
    return mine != never_was and mine[0] not in {401, 403, 422} and mine[0] < 500


async def _said(
    matrix: Matrix, operation: Operation, caller: Caller, objects: dict[str, str] | None
) -> tuple[int, str]:
    ids = {name: str(uuid.uuid4()) for name in operation.path_parameters} | (objects or {})
    reply = await send(matrix.client, operation, headers=caller.headers, objects=ids)
    return reply.status_code, without(reply.text, reply.headers["x-request-id"], *ids.values())


@pytest.mark.requirement("S4")
async def test_nothing_that_anybody_else_reads_or_finds_holds_a_word_or_an_id_of_the_owner(matrix: Matrix) -> None:
    owner, belongings = await matrix.owner()
    marks = {SECRET_WORD, *(await belongings.make_all(matrix.path_parameters)).values()}
    others = [caller for caller in await matrix.people.everyone() if caller.permissions is not None]
    seen_by_owner: set[str] = set()
    leaks: list[str] = []
    for operation in matrix.operations:
        if not operation.is_read or operation.path_parameters:
            continue
        mine = await send(matrix.client, operation, headers=owner.headers, words=SEARCHED_WORD)
        seen_by_owner |= {mark for mark in marks if mark in mine.text}
        for caller in others:
            theirs = await send(matrix.client, operation, headers=caller.headers, words=SEARCHED_WORD)
            leaks += [f"{operation} by {caller.name}: {mark}" for mark in marks if mark in theirs.text]

    assert leaks == []
    assert SECRET_WORD in seen_by_owner
    assert len(seen_by_owner) > len(marks) / 2


@pytest.mark.requirement("S4")
async def test_the_socket_shows_and_changes_nothing_of_somebody_else(matrix: Matrix) -> None:
    _, belongings = await matrix.owner()
    stranger = await matrix.people.caller("stranger", USER)
    message, conversation = await belongings.make("message_id"), await belongings.make("conversation_id")
    frames: list[dict[str, Any]] = [
        {"type": "ask", "conversation_id": conversation, "content": "What was said?"},
        {"type": "ask", "conversation_id": conversation, "content": "Just so you know.", "answer": False},
        {"type": "regenerate", "message_id": message},
        {"type": "edit", "message_id": message, "content": "Something else."},
        {"type": "resume", "message_id": message},
        {"type": "stop", "message_id": message},
    ]
    async with Socket(matrix.application, path="/api/v1/ws", headers=dict(stranger.headers)) as socket:
        assert (await socket.next())["type"] == "websocket.accept"
        for frame in frames:
            reply = await socket.ask(json.dumps(frame))
            assert (reply["type"], reply["status"]) == ("error", 404), (frame, reply)


async def test_the_socket_is_for_those_who_are_known(matrix: Matrix) -> None:
    for caller in await matrix.people.everyone():
        if caller.permissions is None:
            for headers in caller.credentials.values():
                async with Socket(matrix.application, path="/api/v1/ws", headers=dict(headers)) as socket:
                    assert (await socket.next())["type"] == "websocket.close", caller.name


async def test_another_users_objects_cannot_be_named_inside_a_request(matrix: Matrix) -> None:
    _, belongings = await matrix.owner()
    made = await belongings.make_all(matrix.path_parameters)
    stranger = await matrix.people.caller("stranger", EDITOR)
    own = Belongings(matrix.client, stranger.headers, lambda: matrix.people.bearer("stranger@example.org"))
    leaks: list[str] = []
    for operation in matrix.operations:
        named = operation.fields_naming(made)
        if stranger.expected_refusal(operation) is not None or not named:
            continue
        objects = {name: await own.make(name) for name in own.owned(operation.path_parameters)}
        reply = await send(matrix.client, operation, headers=stranger.headers, objects=objects, fields=named)
        if reply.is_success or failed(reply) or SECRET_WORD in reply.text:
            leaks.append(f"{operation} with {sorted(named)}: {reply.status_code} {reply.text[:200]}")

    assert leaks == []


def test_a_new_route_that_declares_nothing_is_noticed() -> None:
    app = FastAPI()
    app.add_api_route("/declared", lambda: None, openapi_extra={ACCESS_FIELD: "public"})
    app.add_api_route("/forgotten", lambda: None)

    assert undeclared(app.openapi()) == ["GET /forgotten"]


def test_what_the_document_does_not_show_is_known_here() -> None:
    async def healthy() -> Health:
        return Health("ok", {})

    app = create_app(
        routers=make_routers(SettingsBook(read_settings), BOX), probes=Probes(healthy, lambda: b""), page=web_page()
    )

    assert set(_hidden(app.routes)) == {
        "/openapi.json",
        "/ws",
        *("/api/tags", "/api/version"),  # their heads; the document shows them whole
        *web.PAGE_PATHS,
        *web.REFERENCE_PATHS,
        *(address.rstrip("/") for address in web.FILES),
    }


def _hidden(routes: Iterable[Any]) -> Iterator[str]:
    """The paths of routes that the OpenAPI document leaves out; FastAPI keeps included routers as they are."""
    for route in routes:
        if hasattr(route, "original_router"):
            yield from _hidden(route.original_router.routes)
        elif not isinstance(route, APIRoute) or not route.include_in_schema:
            yield str(route.path)
