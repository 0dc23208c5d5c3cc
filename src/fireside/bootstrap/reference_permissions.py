"""The reference of permissions and roles, written from the catalogue and from what every route declares."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from fireside.adapters.secret_box.aes_gcm import AesGcmSecretBox
from fireside.adapters.secret_box.key_ring import KeyRing
from fireside.bootstrap.databases import SERVICES_WITH_JOBS
from fireside.bootstrap.environment import read_settings
from fireside.bootstrap.routers import make_routers, web_page
from fireside.contracts.base import PUBLIC, SIGNED_IN
from fireside.contracts.permissions import ACCESS_FIELD, PERMISSIONS, ROLE_DESCRIPTIONS, ROLES
from fireside.core.clock import SystemClock
from fireside.runtime.health import Health
from fireside.runtime.live import SettingsBook
from fireside.services.gateway import job_routes
from fireside.services.gateway.app import create_app
from fireside.services.gateway.probes import Probes

_HEAD = """\
# Permissions and roles

Whoever asks has one role; a role is a set of permissions, `<service>:<verb>`. An API key has those of its user that
its scopes name. What nobody granted is refused. A permission says what kind of thing one may do, never to whose things:
every object is checked for its owner besides, and somebody else's is answered like one that never was, with 404. That
holds for administrators too, but for jobs, which whoever holds `jobs:manage` may see. Changes count from the next
request on, also for streams and sockets that are open.

Nobody can give away, or rule over, more than they hold themselves: a role that may manage users can neither make nor
change administrators. The last administrator stays one. `POST /api/v1/admin/roles` adds roles to these four.

This page is written by `python -m fireside.bootstrap.reference`.
"""


def permissions_page() -> str:
    """The text of `docs/reference/permissions.md`."""
    return "\n".join((_HEAD, _roles(), _permissions(), _routes(_document())))


def _roles() -> str:
    rows = "\n".join(f"| `{name}` | {description} |" for name, description in ROLE_DESCRIPTIONS.items())
    return f"## Roles\n\n| role | what it is for |\n|---|---|\n{rows}\n"


def _permissions() -> str:
    names = list(ROLES)
    head = f"| permission | allows | {' | '.join(names)} |\n|---|---|{'---|' * len(names)}\n"
    rows = [
        f"| `{permission}` | {PERMISSIONS[permission]} | "
        + " | ".join("yes" if permission in ROLES[name] else "" for name in names)
        + " |"
        for permission in sorted(PERMISSIONS)
    ]
    return "## Permissions\n\n" + head + "\n".join(rows) + "\n"


def _routes(document: Mapping[str, Any]) -> str:
    by_access: dict[str, list[str]] = defaultdict(list)
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            by_access[operation[ACCESS_FIELD]].append(f"`{method.upper()} {path}`")
    called = {PUBLIC: "everyone, without a credential", SIGNED_IN: "everyone who is signed in"}
    order = [PUBLIC, SIGNED_IN, *sorted(by_access.keys() - called.keys())]
    parts = [
        f"### {called.get(access, f'`{access}`')}\n\n" + "\n".join(f"- {route}" for route in sorted(by_access[access]))
        for access in order
        if by_access[access]
    ]
    return "## Routes\n\n" + "\n\n".join(parts) + "\n"


def _document() -> Mapping[str, Any]:
    """The OpenAPI document, without a node behind it."""

    async def health() -> Health:
        return Health("ok", {})

    routers = [
        *make_routers(SettingsBook(read_settings), AesGcmSecretBox(KeyRing(()).with_new_key(now=SystemClock().now()))),
        job_routes.routes(SERVICES_WITH_JOBS),
    ]
    return create_app(routers=routers, probes=Probes(health, bytes), page=web_page()).openapi()
