"""`POST /api/v1/auth/token`: the token endpoint of OAuth 2.0 (RFC 6749), and the documents that describe it."""

from typing import Annotated, Any

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import JSONResponse

from fireside.contracts.auth import (
    ONE_LINE,
    PUBLIC_KEYS,
    REFRESH,
    SIGN_IN,
    SIGN_OUT,
    Client,
    RefreshSession,
    SignIn,
    Tokens,
)
from fireside.contracts.base import Nothing
from fireside.contracts.permissions import route_access
from fireside.services.auth.browser import REFRESH_COOKIE, REFRESH_PATH, is_same_origin
from fireside.services.auth.caller import Caller, CallingFrom
from fireside.services.auth.errors import CrossSiteError, IncompleteGrantError, UnsupportedGrantError

_NEVER_STORED = {"cache-control": "no-store"}
_Field = Annotated[str | None, Form(max_length=4_000)]
_Line = Annotated[str | None, Form(max_length=4_000, pattern=ONE_LINE)]


def routes() -> APIRouter:
    """The token endpoint, signing out, and the OpenID documents."""
    routes = APIRouter(tags=["Identity"])
    routes.add_api_route(REFRESH_PATH, token, methods=["POST"], openapi_extra=route_access(SIGN_IN.access))
    routes.add_api_route(
        "/api/v1/auth/logout", sign_out, methods=["POST"], status_code=204, openapi_extra=route_access(SIGN_OUT.access)
    )
    everyone = route_access(PUBLIC_KEYS.access)
    routes.add_api_route("/.well-known/jwks.json", public_keys, openapi_extra=everyone)
    routes.add_api_route("/.well-known/openid-configuration", openid_configuration, openapi_extra=everyone)
    return routes


async def token(  # noqa: PLR0913 - the fields of the form
    request: Request,
    caller: Caller,
    client: CallingFrom,
    grant_type: Annotated[str, Form(max_length=100)],
    username: _Line = None,
    password: _Field = None,
    refresh_token: _Field = None,
) -> Response:
    """Tokens for an address and password, or for a refresh token.

    Programs get the refresh token in the reply. Browsers get it in a cookie, and send `grant_type=refresh_token` alone.
    """
    if client.browser:
        _require_same_origin(request)
    if grant_type == "password":
        signing_in = SignIn(email=_given(username, "username"), password=_given(password, "password"), client=client)
        return _reply(request, client, await caller.call(SIGN_IN, signing_in))
    if grant_type == "refresh_token":
        in_cookie = request.cookies.get(REFRESH_COOKIE) if client.browser else None
        text = _given(refresh_token or in_cookie, "refresh_token")
        return _reply(request, client, await caller.call(REFRESH, RefreshSession(refresh_token=text, client=client)))
    raise UnsupportedGrantError(
        f"grant_type {grant_type!r}: password or refresh_token", field="grant_type", error="unsupported_grant_type"
    )


async def sign_out(caller: Caller) -> Response:
    """End this session, everywhere at once."""
    await caller.call(SIGN_OUT, Nothing())
    response = Response(status_code=204)
    response.delete_cookie(REFRESH_COOKIE, path=REFRESH_PATH, httponly=True, samesite="strict")
    return response


async def public_keys(caller: Caller) -> dict[str, Any]:
    """The keys that verify access tokens, as a JSON Web Key Set."""
    return {"keys": (await caller.call(PUBLIC_KEYS, Nothing())).keys}


async def openid_configuration(caller: Caller) -> dict[str, Any]:
    """Where verifiers and clients find what they need (OpenID Connect Discovery)."""
    issuer = (await caller.call(PUBLIC_KEYS, Nothing())).issuer.rstrip("/")
    return {
        "issuer": issuer,
        "token_endpoint": f"{issuer}{REFRESH_PATH}",
        "jwks_uri": f"{issuer}/.well-known/jwks.json",
        "grant_types_supported": ["password", "refresh_token"],
        "response_types_supported": [],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "token_endpoint_auth_methods_supported": ["none"],
    }


def _reply(request: Request, client: Client, tokens: Tokens) -> Response:
    body: dict[str, Any] = {
        "access_token": tokens.access_token,
        "token_type": "bearer",
        "expires_in": tokens.expires_in_s,
    }
    if not client.browser:
        return JSONResponse({**body, "refresh_token": tokens.refresh_token}, headers=_NEVER_STORED)
    response = JSONResponse(body, headers=_NEVER_STORED)
    response.set_cookie(
        REFRESH_COOKIE,
        tokens.refresh_token,
        max_age=tokens.refresh_expires_in_s,
        path=REFRESH_PATH,
        secure=request.scope["scheme"] == "https",
        httponly=True,
        samesite="strict",
    )
    return response


def _require_same_origin(request: Request) -> None:
    headers = request.headers
    own = is_same_origin(
        sec_fetch_site=headers.get("sec-fetch-site"), origin=headers.get("origin"), host=headers.get("host")
    )
    if not own:
        raise CrossSiteError(error="invalid_request")


def _given(value: str | None, field: str) -> str:
    if not value:
        raise IncompleteGrantError(f"{field} is missing", field=field, error="invalid_request")
    return value
