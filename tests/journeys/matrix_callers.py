"""Everyone who may ask, with every credential they have, in every header it can stand in."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from fireside.contracts.permissions import ADMIN, CHAT_READ, DOCUMENTS_READ, EDITOR, ROLES, USER, VIEWER
from fireside.services.gateway.authentication import CREDENTIAL_FREE_PATHS
from tests.journeys.matrix_operations import Operation

ADMIN_EMAIL = "admin@example.org"
PASSWORD = "correct horse battery"

Headers = Mapping[str, str]


@dataclass(frozen=True)
class Caller:
    """Someone, or nobody.

    Attributes:
        name: For people.
        permissions: What they may do; None when their credentials do not work any more.
        credentials: What they present, by a name for people.
    """

    name: str
    permissions: frozenset[str] | None
    credentials: dict[str, Headers]

    @property
    def headers(self) -> Headers:
        """One of their credentials."""
        return next(iter(self.credentials.values()))

    def expected_refusal(self, operation: Operation) -> int | None:
        """The status with which an operation has to refuse them; None when it has to let them in."""
        access = operation.access
        if self.permissions is None and operation.path not in CREDENTIAL_FREE_PATHS:
            return 401
        if access == "public":
            return None
        if not self.headers:
            return 401
        return None if access == "signed-in" or access in (self.permissions or ()) else 403


class People:
    """Makes accounts and credentials over HTTP."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self._admin: Headers = {}

    async def bearer(self, email: str) -> Headers:
        """An access token."""
        form = {"grant_type": "password", "username": email, "password": PASSWORD}
        reply = await self._client.post("/api/v1/auth/token", data=form)
        assert reply.status_code == 200, reply.text
        return {"authorization": f"Bearer {reply.json()['access_token']}"}

    async def key(self, bearer: Headers, *scopes: str) -> dict[str, Any]:
        """An API key; all that its maker may without scopes."""
        body = {"name": "key", "scopes": scopes}
        reply = await self._client.post("/api/v1/auth/api-keys", json=body, headers=bearer)
        assert reply.status_code == 201, reply.text
        made: dict[str, Any] = reply.json()
        return made

    async def add(self, name: str, role: str) -> str:
        """An account; returns its id."""
        self._admin = self._admin or await self.bearer(ADMIN_EMAIL)
        body = {"email": f"{name}@example.org", "password": PASSWORD, "name": name, "role": role}
        reply = await self._client.post("/api/v1/admin/users", json=body, headers=self._admin)
        assert reply.status_code == 201, reply.text
        return str(reply.json()["id"])

    async def caller(self, name: str, role: str) -> Caller:
        """Someone new, with a token and, where the role has keys, a key in both headers."""
        await self.add(name, role)
        return await self._known(name, f"{name}@example.org", ROLES[role])

    async def _known(self, name: str, email: str, permissions: frozenset[str]) -> Caller:
        bearer = await self.bearer(email)
        credentials = {"token": bearer}
        if "keys:manage" in permissions:
            credentials |= in_both_headers((await self.key(bearer))["key"])
        return Caller(name, permissions, credentials)

    async def everyone(self) -> list[Caller]:
        """All callers but the owner of anything."""
        return [
            Caller("nobody", frozenset(), {"nothing": {}}),
            await self.caller("stranger", USER),
            await self.caller("editor", EDITOR),
            await self.caller("viewer", VIEWER),
            await self._known("admin", ADMIN_EMAIL, ROLES[ADMIN]),
            await self._demoted(),
            await self._limited("limited", USER, CHAT_READ),
            await self._limited("limited-admin", ADMIN, DOCUMENTS_READ),
            await self._signed_out(),
            await self._with_deleted_key(),
            await self._locked(),
            await self._deleted(),
        ]

    async def _demoted(self) -> Caller:
        caller = await self.caller("demoted", ADMIN)
        user_id = await self._id_of("demoted")
        await self._expect(200, "PATCH", f"/api/v1/admin/users/{user_id}", self._admin, json={"role": VIEWER})
        return Caller("demoted", ROLES[VIEWER], caller.credentials)

    async def _limited(self, name: str, role: str, *scopes: str) -> Caller:
        await self.add(name, role)
        key = await self.key(await self.bearer(f"{name}@example.org"), *scopes)
        return Caller(name, frozenset(scopes), in_both_headers(key["key"]))

    async def _signed_out(self) -> Caller:
        await self.add("signed-out", ADMIN)
        bearer = await self.bearer("signed-out@example.org")
        await self._expect(204, "POST", "/api/v1/auth/logout", bearer)
        return Caller("signed out", None, {"token": bearer})

    async def _with_deleted_key(self) -> Caller:
        await self.add("keyless", ADMIN)
        bearer = await self.bearer("keyless@example.org")
        key = await self.key(bearer)
        await self._expect(204, "DELETE", f"/api/v1/auth/api-keys/{key['id']}", bearer)
        return Caller("with a deleted key", None, in_both_headers(key["key"]))

    async def _locked(self) -> Caller:
        caller = await self.caller("locked", ADMIN)
        await self._expect(200, "POST", f"/api/v1/admin/users/{await self._id_of('locked')}/lock", self._admin)
        return Caller("locked", None, caller.credentials)

    async def _deleted(self) -> Caller:
        caller = await self.caller("deleted", ADMIN)
        await self._expect(204, "DELETE", f"/api/v1/admin/users/{await self._id_of('deleted')}", self._admin)
        return Caller("deleted", None, caller.credentials)

    async def _id_of(self, name: str) -> str:
        reply = await self._client.get("/api/v1/admin/users", params={"query": f"{name}@"}, headers=self._admin)
        return str(reply.json()["items"][0]["id"])

    async def _expect(self, status: int, method: str, path: str, headers: Headers, **content: Any) -> None:
        reply = await self._client.request(method, path, headers=dict(headers), **content)
        assert reply.status_code == status, reply.text


def in_both_headers(key: str) -> dict[str, Headers]:
    """An API key as it can be presented."""
    return {"key as bearer": {"authorization": f"Bearer {key}"}, "key as x-api-key": {"x-api-key": key}}
