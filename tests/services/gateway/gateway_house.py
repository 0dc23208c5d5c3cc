"""The gateway's application on a node with services that say what a test wants; whoever asks has the roles it wants."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import orjson
from fastapi import APIRouter, FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from fireside.contracts import chat, embeddings, inference
from fireside.contracts.answer import AnswerEvent, Final, Source, Token
from fireside.contracts.base import Nothing
from fireside.contracts.permissions import ROLES
from fireside.core.errors import FiresideError, UnavailableError
from fireside.core.identity import Identity, user_identity
from fireside.core.ids import ChunkId, DocumentId, UserId, new_id
from fireside.runtime.context import Context
from fireside.runtime.health import Health
from fireside.runtime.mesh import Node, Service, action, stream_action
from fireside.services.gateway.app import Entry, Page, create_app
from fireside.services.gateway.probes import Probes
from fireside.testing.mesh import local_node

BASE = "http://fireside.test"
POLICY = "default-src 'none'; script-src 'self'"
USER_ID = UserId(new_id())


def person(role: str = "user") -> Identity:
    return user_identity(USER_ID, roles=[role], permissions=ROLES[role])


class AsSomeone:
    """Stands where the guard stands: every request is this person's."""

    def __init__(self, app: ASGIApp, node: Node, identity: Identity) -> None:
        self._app, self._node, self.identity = app, node, identity

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        state = scope.setdefault("state", {})
        state["request_id"] = "request-1"
        state["context"] = self._node.context(identity=self.identity, request_id="request-1")
        await self._app(scope, receive, send)


async def all_well() -> Health:
    return Health("ok", {})


def a_probe() -> Probes:
    return Probes(health=all_well, metrics=lambda: b"# TYPE a counter\n")


@cache
def pageless_app() -> FastAPI:
    """An application that tests use after one another: it keeps nothing, and making it takes longer than they do."""
    return create_app(routers=(), probes=a_probe(), page=Page(Path(__file__).parent))


@asynccontextmanager
async def gateway(
    *services: Service,
    page: Path | None = None,
    files: tuple[str, ...] = (),
    identity: Identity | None = None,
    routers: tuple[APIRouter, ...] = (),
    probes: Probes | None = None,
) -> AsyncGenerator[httpx.AsyncClient, None]:
    """A client of the application over these services; with no folder of the page, of the one that tests share."""
    async with local_node(*services) as node:
        if page is None:
            assert (files, routers, probes) == ((), (), None), "for these, say where the page is"
            app = pageless_app()
        else:
            entries = (Entry("index.html", ("/", "/documents/{document_id}"), POLICY),)
            app = create_app(routers=routers, probes=probes or a_probe(), page=Page(page, entries, files))
        transport = httpx.ASGITransport(AsSomeone(app, node, identity or person()))
        async with httpx.AsyncClient(transport=transport, base_url=BASE) as client:
            yield client


class FakePassage:
    """Pieces that are all there."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces

    async def read(self) -> bytes:
        return next(self._pieces, b"")

    async def pipe(self, write: Callable[[bytes], Awaitable[None]]) -> None:
        for piece in self._pieces:
            await write(piece)


class FakeInference(Service):
    """One model, `tiny` unless named otherwise; its server answers with `reply`, and fails after it with `fails`.

    The bytes are to be read past the mesh, unless the model is `elsewhere`.
    """

    name = "inference"

    def __init__(self, model: str = "tiny") -> None:
        self.model = model
        self.head: inference.ForwardHead | None = inference.ForwardHead(status=200, media_type="application/json")
        self.reply: list[bytes] = [b'{"choices":', b"[]}"]
        self.fails: FiresideError | None = None
        self.asked: list[inference.Forward] = []
        self.is_absent = self.elsewhere = False

    @action(inference.MODELS)
    async def models(self, context: Context, request: Nothing) -> inference.Models:
        profile = inference.ModelProfile(name=self.model, state="ready", answer_style="quote", context_tokens=8)
        return inference.Models(items=(profile,))

    @action(inference.PROFILE)
    async def profile(self, context: Context, request: inference.ProfileQuery) -> inference.ModelProfile:
        if self.is_absent:
            raise UnavailableError("no model is served")
        return (await self.models(context, Nothing())).items[0]

    @stream_action(inference.FORWARD)
    async def forward(
        self, context: Context, request: inference.Forward
    ) -> AsyncIterator[inference.ForwardHead | inference.ForwardChunk]:
        self.asked.append(request)
        pieces = iter(self.reply)
        if self.head is not None:
            yield self.head if self.elsewhere else self.head.followed_by(FakePassage(pieces))
        for piece in pieces:
            yield inference.ForwardChunk(data=piece)
        if self.fails is not None:
            raise self.fails

    def streams(self, *deltas: dict[str, Any], finish_reason: str = "stop") -> None:
        """Answer with the chunks of a chat completion."""
        self.head = inference.ForwardHead(status=200, media_type="text/event-stream")
        choices = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
        choices.append({"index": 0, "delta": {}, "finish_reason": finish_reason})
        usage = {"prompt_tokens": 7, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 2}}
        bodies = [*({"choices": [choice]} for choice in choices), {"choices": [], "usage": usage}]
        self.reply = [b"data: " + orjson.dumps(body) + b"\n\n" for body in bodies] + [b"data: [DONE]\n\n"]

    @property
    def last_body(self) -> Any:
        """What the model's server was asked last."""
        return orjson.loads(self.asked[-1].body)


class FakeEmbeddings(Service):
    """Every text is the vector (1, 0)."""

    name = "embeddings"

    @action(embeddings.MODELS)
    async def models(self, context: Context, request: Nothing) -> embeddings.EmbeddingModels:
        mini = embeddings.EmbeddingModel(name="mini", index_name="mini", dimensions=2, max_tokens=8, state="ready")
        wide = mini.model_copy(update={"name": "mini@2", "version": "2", "index_name": "mini-2", "dimensions": 4})
        return embeddings.EmbeddingModels(items=(mini, wide))

    @action(embeddings.EMBED)
    async def embed(self, context: Context, request: embeddings.EmbedTexts) -> embeddings.Embeddings:
        row = b"\x00\x00\x80\x3f\x00\x00\x00\x00"
        if request.model == "mini@2":
            return embeddings.Embeddings(model="mini@2", dimensions=4, vectors=row * 2 * len(request.texts))
        return embeddings.Embeddings(model="mini", dimensions=2, vectors=row * len(request.texts))


def final(content: str = "It is so [1].") -> Final:
    source = Source(
        n=1, document_id=DocumentId(new_id()), chunk_id=ChunkId(new_id()), path="a.md", title="A", text="so", score=1.0
    )
    return Final(content=content, mode="company", confidence=0.9, sources=(source,))


class FakeChat(Service):
    """Answers with `events`, then fails with `fails`."""

    name = "chat"

    def __init__(self) -> None:
        self.events: list[AnswerEvent] = [Token(text="It is "), Token(text="so [1]."), final()]
        self.fails: FiresideError | None = None
        self.asked: list[chat.CompleteTurns] = []

    @stream_action(chat.COMPLETE)
    async def complete(self, context: Context, request: chat.CompleteTurns) -> AsyncIterator[AnswerEvent]:
        self.asked.append(request)
        for event in self.events:
            yield event
        if self.fails is not None:
            raise self.fails


def chunks(body: bytes) -> list[Any]:
    """The data of each server-sent event; `[DONE]` as text."""
    data = [line[6:] for line in body.split(b"\n") if line.startswith(b"data: ")]
    return ["[DONE]" if item == b"[DONE]" else orjson.loads(item) for item in data]
