"""People at work: they ask, search, list and upload one thing after the other, and count what came of it.

What fails is sent again until it is answered, with the same ids, as people do; every sending counts.
"""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Literal, cast
from uuid import uuid4

import aiohttp

Kind = Literal["ask", "search", "list", "upload"]
Outcome = Literal["answered", "refused", "cut", "unclear"]
KINDS: tuple[Kind, ...] = ("ask", "search", "list", "upload")
WORKERS: tuple[Kind, ...] = (*KINDS, "ask")
PAUSE_S = 0.2
PATIENCE_S = 60.0
CLEAR = {429: {"too_many_requests", "too_many_answers"}, 503: None, 504: {"deadline_exceeded"}}
"""Statuses that say that trying again helps, with the codes that may come with them; None for any."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request and what came of it.

    Attributes:
        began: On the monotonic clock, in seconds, as `ended`.
        outcome: `refused` is a clear error that says that trying again helps; `cut` a connection that broke.
        detail: Of what failed.
    """

    kind: Kind
    began: float
    ended: float
    outcome: Outcome
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Sending:
    """A request to be sent, as often as it takes."""

    method: str
    path: str
    json: Any = None
    file: tuple[str, bytes] | None = None
    accept_taken: bool = False

    def form(self) -> aiohttp.FormData | None:
        """The body of an upload."""
        if self.file is None:
            return None
        form = aiohttp.FormData(quote_fields=False)
        form.add_field("files", self.file[1], filename=self.file[0])
        return form


@dataclass
class Ledger:
    """What was sent, and what was acknowledged.

    Attributes:
        asked: The conversation of each question that was sent.
        answers: The question of each answer that came whole.
        documents: The id of each document that was accepted, by its path.
        uploaded: The paths that were sent.
    """

    asked: dict[str, str] = field(default_factory=dict[str, str])
    answers: dict[str, str] = field(default_factory=dict[str, str])
    documents: dict[str, str] = field(default_factory=dict[str, str])
    uploaded: set[str] = field(default_factory=set[str])


class Load:
    """The workers and their counts."""

    def __init__(self, session: aiohttp.ClientSession, gateways: Sequence[str]) -> None:
        self.attempts: list[Attempt] = []
        self.ledger = Ledger()
        self._session, self._gateways, self._turn = session, gateways, count()
        self._changed = asyncio.Condition()
        self.folder = f"load/{uuid4().hex[:8]}/"
        self._number = count()
        self._workers: list[asyncio.Task[None]] = []
        self._resting = asyncio.Event()

    @asynccontextmanager
    async def at_work(self) -> AsyncGenerator[None]:
        """Have the workers work inside the context."""
        self._workers = [asyncio.create_task(self._work(kind)) for kind in WORKERS]
        try:
            yield
            await self.rest()
        finally:
            for worker in self._workers:
                worker.cancel()
            await asyncio.gather(*self._workers, return_exceptions=True)

    async def rest(self) -> None:
        """Have the workers stop; what was begun is done to its end. What they stumbled over is raised."""
        self._resting.set()
        await asyncio.gather(*self._workers)

    async def _work(self, kind: Kind) -> None:
        tasks: dict[Kind, Callable[[], Awaitable[None]]] = {
            "ask": self._ask,
            "search": self._search,
            "list": self._list,
            "upload": self._upload,
        }
        while not self._resting.is_set():
            await tasks[kind]()
            await asyncio.sleep(PAUSE_S)

    async def wait_until(self, holds: Callable[[Sequence[Attempt]], bool], *, within_s: float = PATIENCE_S) -> None:
        """Wait for something to become true of the attempts.

        Raises:
            TimeoutError: It did not in time.
        """
        async with asyncio.timeout(within_s), self._changed:
            await self._changed.wait_for(lambda: holds(self.attempts) or any(each.done() for each in self._workers))
        if not holds(self.attempts):
            await self.rest()  # raises what a worker stumbled over

    async def get(self, path: str) -> Any:
        """What is stored, read when all is well again."""
        status, body = await self._reply(Sending("GET", path))
        assert status == 200, (status, body)
        return body

    def word_of(self, path: str) -> str:
        """A word that only the document with this path has."""
        return "wombat" + "".join(letter for letter in path.removesuffix(".md") if letter.isalnum())

    async def _ask(self) -> None:
        conversation, question = str(uuid4()), str(uuid4())
        begin = Sending("POST", "/api/v1/conversations", {"id": conversation, "mode": "company"}, accept_taken=True)
        await self._until_answered("ask", begin)
        content = "When does the travel desk close?"
        ask = Sending("POST", f"/api/v1/conversations/{conversation}/messages", {"id": question, "content": content})
        self.ledger.asked[question] = conversation
        answer = await self._until_answered("ask", ask, again=f"/api/v1/messages/{question}/regenerate")
        assert answer["sources"] or answer["degraded"], answer
        self.ledger.answers[answer["id"]] = question

    async def _search(self) -> None:
        found = await self._until_answered("search", Sending("GET", "/api/v1/search?q=travel+desk&limit=5"))
        assert found["items"], found

    async def _list(self) -> None:
        await self._until_answered("list", Sending("GET", "/api/v1/conversations?limit=20"))
        await self._until_answered("list", Sending("GET", "/api/v1/documents?limit=20"))

    async def _upload(self) -> None:
        number = next(self._number)
        path = f"{self.folder}{number}.md"
        text = f"# Note {number}\n\nThe word of note {number} is {self.word_of(path)}.\n"
        self.ledger.uploaded.add(path)
        accepted = await self._until_answered(
            "upload", Sending("POST", "/api/v1/documents", file=(path, text.encode()))
        )
        self.ledger.documents[path] = accepted["documents"][0]["id"]

    async def _until_answered(self, kind: Kind, sending: Sending, *, again: str = "") -> Any:
        """Send until it is answered; an answer that was interrupted is asked for anew at `again`."""
        while True:
            began = time.monotonic()
            outcome, detail, body = await self._attempt(sending)
            async with self._changed:
                self.attempts.append(Attempt(kind, began, time.monotonic(), outcome, detail))
                self._changed.notify_all()
            if outcome == "answered":
                return body
            if again and "answer_interrupted" in detail:
                sending = Sending("POST", again, {})
            await asyncio.sleep(PAUSE_S)

    async def _attempt(self, sending: Sending) -> tuple[Outcome, str, Any]:
        try:
            status, body = await self._reply(sending)
        except aiohttp.ClientConnectorError as error:
            return "refused", str(error), None
        except aiohttp.ClientError as error:
            return "cut", repr(error), None
        except TimeoutError:
            return "unclear", f"no answer within {PATIENCE_S} s", None
        if status < 300 or (sending.accept_taken and status == 409):
            return "answered", "", body
        code = str(cast("dict[str, Any]", body).get("code", "")) if isinstance(body, dict) else ""
        clear = bool(code) and status in CLEAR and code in (CLEAR[status] or {code})
        return ("refused" if clear else "unclear"), f"{status} {json.dumps(body)}", None

    async def _reply(self, sending: Sending) -> tuple[int, Any]:
        """The reply of the next gateway, or of another one where nobody listens there, as a proxy does it."""
        turn = next(self._turn)
        gateways = [self._gateways[(turn + n) % len(self._gateways)] for n in range(len(self._gateways))]
        for number, gateway in enumerate(gateways, start=1):
            try:
                async with self._session.request(
                    sending.method, gateway + sending.path, json=sending.json, data=sending.form()
                ) as reply:
                    text = await reply.text()
                    return reply.status, _parsed(text)
            except aiohttp.ClientConnectorError:
                if number == len(gateways):
                    raise
        raise AssertionError("there is no gateway")


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


@asynccontextmanager
async def under_load(gateways: Sequence[str], key: str) -> AsyncGenerator[Load]:
    """A load, from when every kind of request has been answered; it rests at the end at the latest."""
    timeout = aiohttp.ClientTimeout(total=PATIENCE_S)
    # A connection of its own for each request, as through a proxy that keeps none.
    connector = aiohttp.TCPConnector(force_close=True)
    headers = {"authorization": f"Bearer {key}"}
    async with aiohttp.ClientSession(headers=headers, timeout=timeout, connector=connector) as session:
        load = Load(session, gateways)
        async with load.at_work():
            await load.wait_until(all_kinds_answered_since(0.0))
            yield load


def all_kinds_answered_since(moment: float) -> Callable[[Sequence[Attempt]], bool]:
    """Whether of each kind a request has been answered that began after the moment."""

    def holds(attempts: Sequence[Attempt]) -> bool:
        answered = {one.kind for one in attempts if one.began >= moment and one.outcome == "answered"}
        return answered == set(KINDS)

    return holds
