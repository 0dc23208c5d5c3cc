"""Every permission there is, the roles at start, and how a route says which permission it needs.

A permission is `<service>:<verb>`. Whoever offers an action names one of these constants as its `access`; a name that
is not in the catalogue can never be granted. Ownership is checked besides: a permission says what kind of thing one may
do, never to whose objects.
"""

from typing import Any

from fireside.contracts.base import INTERNAL, PUBLIC, SIGNED_IN

CHAT_READ = "chat:read"
CHAT_WRITE = "chat:write"
DOCUMENTS_READ = "documents:read"
DOCUMENTS_WRITE = "documents:write"
COLLECTIONS_WRITE = "collections:write"
MODELS_USE = "models:use"
MODELS_MANAGE = "models:manage"
JOBS_MANAGE = "jobs:manage"
USERS_MANAGE = "users:manage"
KEYS_MANAGE = "keys:manage"
ACCOUNT_MANAGE = "account:manage"
AUDIT_READ = "audit:read"
ADMIN_READ = "admin:read"
ADMIN_WRITE = "admin:write"

PERMISSIONS: dict[str, str] = {
    ACCOUNT_MANAGE: "Change one's own profile and password; list and end one's own sessions",
    ADMIN_READ: "See nodes, usage, configuration",
    ADMIN_WRITE: "Change configuration and providers",
    AUDIT_READ: "Read and verify the audit trail",
    CHAT_READ: "Read one's own conversations and those shared with one",
    CHAT_WRITE: "Ask, and change one's own conversations",
    COLLECTIONS_WRITE: "Write to shared knowledge; manage collections, sources and aliases",
    DOCUMENTS_READ: "Search and read the documents one has access to",
    DOCUMENTS_WRITE: "Upload to one's personal collection and to one's own conversations, and delete there",
    JOBS_MANAGE: "See, cancel and retry the jobs of everyone; see and re-drive dead letters",
    KEYS_MANAGE: "Make and delete one's own API keys, never wider than oneself",
    MODELS_MANAGE: "Install, remove and configure models",
    MODELS_USE: "See the models one may use, and use them",
    USERS_MANAGE: "Manage users, roles and invitations",
}
"""What each permission allows, for people."""

ADMIN = "admin"
EDITOR = "editor"
USER = "user"
VIEWER = "viewer"

_VIEWER = frozenset({ACCOUNT_MANAGE, CHAT_READ, CHAT_WRITE, DOCUMENTS_READ, MODELS_USE})
_USER = _VIEWER | {DOCUMENTS_WRITE, KEYS_MANAGE}
_EDITOR = _USER | {COLLECTIONS_WRITE}

ROLES: dict[str, frozenset[str]] = {
    ADMIN: frozenset(PERMISSIONS),
    EDITOR: _EDITOR,
    USER: _USER,
    VIEWER: _VIEWER,
}
"""The roles at start. They cannot be changed or deleted; administrators add others."""

ROLE_DESCRIPTIONS: dict[str, str] = {
    ADMIN: "Runs the installation: everything, but not the private objects of others",
    EDITOR: "Manages knowledge: writes to shared collections, sources and aliases",
    USER: "Asks, and uploads documents of their own",
    VIEWER: "Asks and reads; uploads nothing and has no API keys",
}

ACCESS_FIELD = "x-fireside-access"
"""The field of an operation in the OpenAPI document that says what its caller needs."""


def route_access(access: str) -> dict[str, Any]:
    """What a route passes as `openapi_extra`: `@router.get(..., openapi_extra=route_access(SEARCH.access))`.

    Every route declares its access; a test over the OpenAPI document tries each route with every role and credential
    and fails for a route that declares none, or another than it enforces.

    Raises:
        ValueError: No such access; the call is wrong.
    """
    if access not in PERMISSIONS and access not in {PUBLIC, SIGNED_IN, INTERNAL}:
        raise ValueError(f"no permission is called {access!r}")
    return {ACCESS_FIELD: access}
