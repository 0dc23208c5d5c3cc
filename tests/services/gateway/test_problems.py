import json
from collections.abc import Callable
from typing import Any

import pytest

from fireside.core.errors import (
    FiresideError,
    ForbiddenError,
    InternalError,
    NotFoundError,
    TooManyRequestsError,
    UnauthenticatedError,
)
from fireside.services.gateway.problems import problem_of, problem_response
from tests.services.gateway.door import Door, Reply


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", "/nowhere", None, 404, "not_found"),
        ("POST", "/who", None, 405, "method_not_allowed"),
        ("GET", "/api/v1/auth/me", None, 401, "unauthenticated"),
        ("POST", "/api/v1/auth/register", "{", 422, "invalid_input"),
        ("POST", "/api/v1/auth/register", "[]", 422, "invalid_input"),
        ("POST", "/api/v1/auth/register", None, 422, "invalid_input"),
        ("GET", "/broken", None, 500, "internal"),
    ],
)
async def test_every_error_is_a_problem_with_its_code_and_the_request_id(
    door: Door, method: str, path: str, body: str | None, status: int, code: str
) -> None:
    headers = {"x-request-id": "my-request-0001", "content-type": "application/json"}
    reply = await door.client.request(method, path, content=body, headers=headers)
    problem = reply.json()

    assert (reply.status_code, problem["status"], problem["code"]) == (status, status, code)
    assert reply.headers["content-type"] == "application/problem+json"
    assert problem["request_id"] == reply.headers["x-request-id"] == "my-request-0001"
    assert {"type", "title", "detail"} <= problem.keys()


async def test_bad_input_names_each_field_and_what_is_wrong_with_it(door: Door) -> None:
    body = {"email": "nonsense", "name": "", "password": "long enough to do"}
    reply = await door.client.post("/api/v1/auth/register", json=body)
    errors = {error["field"]: error for error in reply.json()["errors"]}

    assert reply.status_code == 422
    assert errors.keys() == {"email", "name"}
    assert all(error["message"] and error["code"] for error in errors.values())
    assert "long enough to do" not in reply.text


async def test_a_body_that_is_no_json_is_named_as_a_whole(door: Door) -> None:
    reply = await door.client.post("/api/v1/auth/register", content=b"{,", headers={"content-type": "application/json"})

    assert [error["field"] for error in reply.json()["errors"]] == ["body"]


async def test_a_rule_that_a_service_enforces_names_its_field_too(door: Door) -> None:
    body = {"email": "a@b.c", "name": "A", "password": "short"}
    reply = await door.client.post("/api/v1/auth/register", json=body)

    assert (reply.status_code, reply.json()["code"]) == (422, "weak_password")
    assert [error["field"] for error in reply.json()["errors"]] == ["password"]


async def test_a_failure_tells_nothing_of_its_cause(door: Door) -> None:
    reply = await door.get("/broken")

    assert "hunter2" not in reply.text
    assert "Traceback" not in reply.text
    assert reply.json()["detail"].startswith("Something failed")


async def test_clients_of_openai_get_the_shape_they_know(door: Door) -> None:
    reply = await door.get("/v1/nowhere")

    assert reply.status_code == 404
    assert reply.json()["error"]["code"] == "not_found"


@pytest.mark.parametrize(
    ("path", "find"),
    [
        ("/v1/chat/completions", lambda body: body["error"]["message"]),
        ("/v1/responses", lambda body: body["error"]["message"]),
        ("/v1/messages", lambda body: body["error"]["message"]),
        ("/v1/messages/count_tokens", lambda body: body["error"]["message"]),
        ("/api/chat", lambda body: body["error"]),
        ("/api/v1/models", lambda body: body["detail"]),
    ],
)
async def test_limits_and_credentials_are_the_same_in_every_dialect_each_in_its_own_shape(
    door: Door, path: str, find: Callable[[Any], str]
) -> None:
    stranger = await door.get(path, {"authorization": "Bearer fsk_wrong"})
    error = TooManyRequestsError("slow down", retry_after_s=7, limit=5)
    limited = problem_response(error, request_id="r", path=path)

    assert stranger.status_code == 401
    assert find(stranger.json())
    assert stranger.headers["x-request-id"]
    assert (limited.status_code, limited.headers["retry-after"]) == (429, "7")
    assert find(json.loads(bytes(limited.body))) == "slow down"


async def test_the_methods_that_are_allowed_are_named(door: Door) -> None:
    assert (await door.client.post("/who")).headers["allow"] == "GET"


def test_details_stand_beside_but_cannot_replace_what_the_standard_names() -> None:
    problem = problem_of(ForbiddenError("no", permission="users:manage", status=200, title="fine"), request_id="r")

    assert problem == {
        "type": "about:blank",
        "title": "Forbidden",
        "status": 403,
        "detail": "no",
        "code": "forbidden",
        "request_id": "r",
        "permission": "users:manage",
    }


def test_details_of_a_failure_are_kept_for_the_log() -> None:
    assert "path" not in problem_of(InternalError("failed", path="/secret"), request_id="r")


def test_headers_say_when_to_come_back_and_how_to_sign_in() -> None:
    limited = problem_response(TooManyRequestsError(retry_after_s=7), request_id="r", path="/")
    unknown = problem_response(UnauthenticatedError(), request_id="r", path="/")
    missing = problem_response(NotFoundError(), request_id="r", path="/")

    assert limited.headers["retry-after"] == "7"
    assert unknown.headers["www-authenticate"] == "Bearer"
    assert "www-authenticate" not in missing.headers


def test_a_status_that_has_no_name_still_has_a_title() -> None:
    class OddError(FiresideError):
        """Odd."""

        code = "odd"
        status = 499

    body = json.loads(problem_response(OddError(), request_id="r", path="/").body)

    assert (body["status"], body["title"]) == (499, "Error")


async def test_a_reply_that_fails_in_the_middle_is_broken_off_without_a_word_of_the_cause(door: Door) -> None:
    async with Reply(door.app, "/stream", {}) as reply:
        for _ in range(2):
            await reply.next()
        door.more.put_nowait("fail")
        assert reply.running is not None
        await reply.running

        assert reply.left() == []
