"""`/api/v1/auth`: set-up, registration, one's own account, sessions and API keys."""

from typing import Any

from fastapi import APIRouter

from fireside.contracts import auth
from fireside.contracts.base import Action, Nothing
from fireside.contracts.permissions import route_access
from fireside.core.ids import ApiKeyId, SessionId
from fireside.services.auth import admin_routes, token_routes
from fireside.services.auth.caller import Caller, CallingFrom


def routes() -> APIRouter:
    """Every route of identity."""
    own = APIRouter(prefix="/api/v1/auth", tags=["Identity"])
    own.add_api_route("/setup", setup_state, **_get(auth.SETUP_STATE))
    own.add_api_route("/setup", set_up, **_post(auth.SET_UP, status_code=201))
    own.add_api_route("/register", register, **_post(auth.REGISTER, status_code=201))
    own.add_api_route("/me", me, **_get(auth.ME))
    own.add_api_route("/me", update_me, methods=["PATCH"], openapi_extra=route_access(auth.UPDATE_ME.access))
    own.add_api_route("/password", change_password, **_post(auth.CHANGE_PASSWORD, status_code=204))
    own.add_api_route("/sessions", list_sessions, **_get(auth.LIST_SESSIONS))
    own.add_api_route("/sessions/{session_id}", revoke_session, **_delete(auth.REVOKE_SESSION))
    own.add_api_route("/api-keys", list_api_keys, **_get(auth.LIST_API_KEYS))
    own.add_api_route("/api-keys", create_api_key, **_post(auth.CREATE_API_KEY, status_code=201))
    own.add_api_route("/api-keys/{key_id}", delete_api_key, **_delete(auth.DELETE_API_KEY))
    everything = APIRouter()
    for router in (token_routes.routes(), own, admin_routes.routes()):
        everything.include_router(router)
    return everything


async def setup_state(caller: Caller) -> auth.SetupState:
    """Whether the first administrator is still to be made, and who may register."""
    return await caller.call(auth.SETUP_STATE, Nothing())


async def set_up(caller: Caller, body: auth.SetUp) -> auth.UserView:
    """Make the first administrator, with the one-time token of the set-up link."""
    return await caller.call(auth.SET_UP, body)


async def register(caller: Caller, client: CallingFrom, body: auth.NewAccount) -> auth.UserView:
    """Make an account. The reply for an address that has one already is the same, and changes nothing."""
    return await caller.call(auth.REGISTER, auth.Register(**body.model_dump(), client=client))


async def me(caller: Caller) -> auth.Profile:
    """Who is signed in, and what this credential allows."""
    return await caller.call(auth.ME, Nothing())


async def update_me(caller: Caller, body: auth.UpdateProfile) -> auth.UserView:
    """Change one's own profile."""
    return await caller.call(auth.UPDATE_ME, body)


async def change_password(caller: Caller, client: CallingFrom, body: auth.NewPassword) -> None:
    """Change one's own password; every other session ends."""
    await caller.call(auth.CHANGE_PASSWORD, auth.ChangePassword(**body.model_dump(), client=client))


async def list_sessions(caller: Caller) -> auth.SessionList:
    """Where one is signed in, last used first."""
    return await caller.call(auth.LIST_SESSIONS, Nothing())


async def revoke_session(caller: Caller, session_id: SessionId) -> None:
    """End one of one's own sessions, at once and everywhere."""
    await caller.call(auth.REVOKE_SESSION, auth.SessionRef(id=session_id))


async def list_api_keys(caller: Caller) -> auth.ApiKeyList:
    """One's own API keys, newest first; never the keys themselves."""
    return await caller.call(auth.LIST_API_KEYS, Nothing())


async def create_api_key(caller: Caller, body: auth.CreateApiKey) -> auth.CreatedApiKey:
    """Make an API key; it is shown this once."""
    return await caller.call(auth.CREATE_API_KEY, body)


async def delete_api_key(caller: Caller, key_id: ApiKeyId) -> None:
    """Delete one of one's own API keys; it stops working at once."""
    await caller.call(auth.DELETE_API_KEY, auth.ApiKeyRef(id=key_id))


def _get(action: Action[Any, Any]) -> dict[str, Any]:
    return {"methods": ["GET"], "openapi_extra": route_access(action.access)}


def _post(action: Action[Any, Any], *, status_code: int) -> dict[str, Any]:
    return {"methods": ["POST"], "openapi_extra": route_access(action.access), "status_code": status_code}


def _delete(action: Action[Any, Any]) -> dict[str, Any]:
    return {"methods": ["DELETE"], "openapi_extra": route_access(action.access), "status_code": 204}
