"""Objects that belong to someone, one for each kind of path parameter, and the words that stand in all of them."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

import httpx

SEARCHED_WORD = "xylophone"
SECRET_WORD = "quarantine"
SECRET_WORDS = f"{SEARCHED_WORD} {SECRET_WORD}"
"""In the title or text of everything that the owner has, and nowhere else; others search for one, and find neither."""

NEVER_OWNED = frozenset({"user_id", "name", "invitation_id", "model", "install_id", "letter_id"})
"""Path parameters that name something which is no user's own: administrators manage it, or everyone may use it."""

SEEN_BY_MANAGERS = {"job_id": "jobs:manage"}
"""Objects that those who hold a permission may see although they belong to someone else."""


class Belongings:
    """Makes things that belong to one user."""

    def __init__(self, client: httpx.AsyncClient, owner: Mapping[str, str], sign_in: Callable[[], Awaitable[Any]]):
        self._client = client
        self._owner = dict(owner)
        self._sign_in = sign_in
        self.made: dict[str, str] = {}
        self._makers: dict[str, Callable[[], Awaitable[str]]] = {
            "session_id": self._session,
            "key_id": self._key,
            "conversation_id": self._conversation,
            "message_id": self._message,
            "document_id": self._document,
            "collection": self._collection,
            "job_id": self._job,
            "response_id": self._response,
        }

    def unknown(self, parameters: Iterable[str]) -> list[str]:
        """The path parameters of which it is not known whether they name somebody's own things."""
        return [name for name in parameters if name not in self._makers and name not in NEVER_OWNED]

    def owned(self, parameters: Iterable[str]) -> list[str]:
        """The path parameters that name somebody's own things."""
        return [name for name in parameters if name in self._makers]

    async def make(self, name: str) -> str:
        """Something new that belongs to the owner; returns its id."""
        self.made[name] = await self._makers[name]()
        return self.made[name]

    async def make_all(self, parameters: Iterable[str]) -> dict[str, str]:
        """One thing of each kind that these path parameters name."""
        for name in self.owned(sorted(parameters)):
            await self.make(name)
        return self.made

    async def _post(self, path: str, **content: Any) -> dict[str, Any]:
        reply = await self._client.post(path, headers=self._owner, **content)
        assert reply.is_success, reply.text
        found: dict[str, Any] = reply.json()
        return found

    async def _get(self, path: str) -> dict[str, Any]:
        reply = await self._client.get(path, headers=self._owner)
        assert reply.is_success, reply.text
        found: dict[str, Any] = reply.json()
        return found

    async def _session(self) -> str:
        await self._sign_in()
        listed = await self._get("/api/v1/auth/sessions")
        return next(item["id"] for item in listed["items"] if not item["current"])

    async def _key(self) -> str:
        return str((await self._post("/api/v1/auth/api-keys", json={"name": SECRET_WORDS}))["id"])

    async def _conversation(self) -> str:
        return str((await self._post("/api/v1/conversations", json={"title": SECRET_WORDS}))["id"])

    async def _message(self) -> str:
        conversation = await self._conversation()
        body = {"content": f"The {SECRET_WORDS} is mine.", "answer": False}
        return str((await self._post(f"/api/v1/conversations/{conversation}/messages", json=body))["id"])

    async def _collection(self) -> str:
        return str((await self._post("/api/v1/collections", json={"name": SECRET_WORDS + _unique()}))["id"])

    async def _upload(self) -> dict[str, Any]:
        text = f"# {SECRET_WORDS}\n\nThe {SECRET_WORDS} of number {_unique()} is kept in the cellar.\n"
        files = {"files": (f"{SECRET_WORDS}.md", text.encode(), "text/markdown")}
        return await self._post("/api/v1/documents?collection=personal", files=files)

    async def _document(self) -> str:
        accepted = await self._upload()
        await self._ended(accepted["job_id"])
        return str(accepted["documents"][0]["id"])

    async def _job(self) -> str:
        job_id = str((await self._upload())["job_id"])
        await self._ended(job_id)
        return job_id

    async def _response(self) -> str:
        return str((await self._post("/v1/responses", json={"model": "fireside", "input": SECRET_WORDS}))["id"])

    async def _ended(self, job_id: str) -> None:
        deadline = time.monotonic() + 60
        while (await self._get(f"/api/v1/jobs/{job_id}"))["state"] in {"queued", "running"}:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.02)


def _unique() -> str:
    return f" {time.monotonic_ns()}"
