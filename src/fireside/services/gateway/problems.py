"""Errors as clients see them: `application/problem+json` (RFC 9457), rendered here and nowhere else.

Clients of other APIs get their own shape on their own paths. A reply never tells more than the error itself does: no
stack, no query, no path of the server.
"""

from collections.abc import Awaitable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fireside.core.errors import FiresideError, InternalError, InvalidInputError, error_from_dict
from fireside.services.gateway import anthropic_dialect, ollama_dialect, openai_dialect

log = structlog.stdlib.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"
_OWN_PREFIX = "/api/v1/"
ANTHROPIC_PREFIX = "/v1/messages"
_OLLAMA_PREFIX = "/api/"
_DIALECT_PREFIXES = ("/v1/", _OLLAMA_PREFIX)
_RESERVED = frozenset({"type", "title", "status", "detail", "code", "request_id", "errors"})
_CODES = {404: "not_found", 405: "method_not_allowed", 406: "not_acceptable", 415: "unsupported_media_type"}
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_PLACES = frozenset({"body", "query", "path", "header", "cookie"})


class ReplyBrokenOffError(Exception):
    """A reply must not go on. No FiresideError: those are for the application, which cannot answer any more."""


def problem_of(error: FiresideError, *, request_id: str) -> dict[str, Any]:
    """The body of a problem reply. What the error knows besides stands beside, as the standard provides."""
    details = {name: value for name, value in error.details.items() if name not in _RESERVED}
    problem: dict[str, Any] = {
        "type": "about:blank",
        "title": _title(error.status),
        "status": error.status,
        "detail": error.message,
        "code": error.code,
        "request_id": request_id,
    }
    if "error" in details:
        problem["error_description"] = error.message
    errors = error.details.get("errors") or _errors_of(error)
    return {**problem, **({"errors": errors} if errors else {}), **(details if error.status < 500 else {})}


def problem_response(error: FiresideError, *, request_id: str, path: str) -> Response:
    """The reply to a request that failed."""
    headers = headers_of(error)
    if path.startswith(_OWN_PREFIX) or not path.startswith(_DIALECT_PREFIXES):
        return JSONResponse(problem_of(error, request_id=request_id), error.status, headers, MEDIA_TYPE)
    # none of the others tells a request that it cannot read from one that it does not like
    status = HTTPStatus.BAD_REQUEST if error.status == HTTPStatus.UNPROCESSABLE_ENTITY else error.status
    return JSONResponse(_in_dialect(error, request_id=request_id, path=path), status, headers)


def _in_dialect(error: FiresideError, *, request_id: str, path: str) -> dict[str, Any]:
    if path.startswith(_OLLAMA_PREFIX):
        return ollama_dialect.error_body(error)
    if path.startswith(ANTHROPIC_PREFIX):
        return anthropic_dialect.error_body(error, request_id)
    return openai_dialect.error_body(error)


def headers_of(error: FiresideError) -> dict[str, str]:
    """The headers that belong to an error: when to come back, how much was allowed, how to sign in."""
    headers: dict[str, str] = {}
    retry_after_s = error.details.get("retry_after_s")
    if retry_after_s is not None:
        headers["Retry-After"] = headers["RateLimit-Reset"] = str(retry_after_s)
        headers["RateLimit-Remaining"] = str(error.details.get("remaining", 0))
        headers["RateLimit-Limit"] = str(error.details.get("limit", 0))
    if error.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    allow = error.details.get("allow")
    return {**headers, "Allow": str(allow)} if allow else headers


def add_problem_handlers(app: FastAPI) -> None:
    """Have the application render its errors as problems."""

    async def fireside_error(request: Request, error: Exception) -> Response:
        return render(request, error if isinstance(error, FiresideError) else InternalError())

    async def invalid_request(request: Request, error: Exception) -> Response:
        found = error.errors() if isinstance(error, RequestValidationError) else ()
        fields = [_field_error(item) for item in found]
        return render(request, InvalidInputError(_summary(fields), errors=fields))

    async def http_error(request: Request, error: Exception) -> Response:
        return render(request, _from_http(request, error) if isinstance(error, HTTPException) else InternalError())

    async def unexpected(request: Request, _error: Exception) -> Response:
        return render(request, InternalError())

    app.add_exception_handler(FiresideError, fireside_error)
    app.add_exception_handler(RequestValidationError, invalid_request)
    app.add_exception_handler(HTTPException, http_error)
    app.add_exception_handler(Exception, unexpected)


class Problems:
    """Answers for whatever the middleware behind it raises, and is where the causes of failures are logged."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; an error becomes a reply as long as none has begun."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        begun = False

        def send_noticed(message: Message) -> Awaitable[None]:
            nonlocal begun
            begun = True
            return send(message)

        try:
            await self._app(scope, receive, send_noticed)
        except ClientDisconnect:
            return
        except ReplyBrokenOffError as error:
            # the server closes the connection of a reply that does not end: this is how its reader learns
            log.info("reply_broken_off", reason=str(error), request_id=scope["state"]["request_id"])
        except FiresideError as error:
            await _answer(error, scope, receive, send)
        except Exception:  # the outermost place that an error reaches
            log.exception("request_failed", request_id=scope["state"]["request_id"], path=scope["path"])
            if not begun:
                await _answer(InternalError(), scope, receive, send)


async def _answer(error: FiresideError, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        # closing before the handshake is accepted makes the server answer 403
        await send({"type": "websocket.close", "code": 4000 + error.status, "reason": error.code})
        return
    response = problem_response(error, request_id=scope["state"]["request_id"], path=scope["path"])
    await response(scope, receive, send)


def render(request: Request, error: FiresideError) -> Response:
    """The reply to a request that a handler refused; failures on our side are logged."""
    if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.warning("request_refused", code=error.code, status=error.status, path=request.scope["path"])
    return problem_response(error, request_id=request.state.request_id, path=request.scope["path"])


def _from_http(request: Request, error: HTTPException) -> FiresideError:
    code = _CODES.get(error.status_code, "http_error")
    details = {"allow": _methods_of(request)} if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED else {}
    return error_from_dict(
        {"code": code, "status": error.status_code, "message": str(error.detail), "details": details}
    )


def _methods_of(request: Request) -> str:
    """The methods that the address knows; the framework names those of its first route only."""
    routes: Sequence[BaseRoute] = request.app.routes

    def is_known(method: str) -> bool:
        return any(route.matches({**request.scope, "method": method})[0] == Match.FULL for route in routes)

    return ", ".join(method for method in _METHODS if is_known(method))


def _errors_of(error: FiresideError) -> list[dict[str, str]]:
    field = error.details.get("field")
    return [{"field": str(field), "message": error.message, "code": error.code}] if field else []


def _field_error(item: Mapping[str, Any]) -> dict[str, str]:
    where: Sequence[Any] = item.get("loc", ())
    inside = [str(part) for part in (where[1:] if where and where[0] in _PLACES else where)]
    field = "body" if item.get("type") == "json_invalid" else ".".join(inside)
    return {"field": field, "message": str(item.get("msg", "")), "code": str(item.get("type", "invalid"))}


def _summary(fields: Sequence[Mapping[str, str]]) -> str:
    return "; ".join(f"{item['field'] or 'body'}: {item['message']}" for item in fields[:3]) or "not valid"


def _title(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"
