"""What the inference service offers: chat with a model by name or role, and OpenAI-shaped requests passed through.

`inference.chat` is what the pipeline uses; `inference.forward` carries the bytes of a compatible client's request to
the model's server and the bytes of its reply back, unread, because re-encoding costs more than the rest of the way.
"""

from collections.abc import Awaitable, Callable
from typing import Any, ClassVar, Literal, Protocol, Self
from uuid import UUID, uuid5

from pydantic import Field, PrivateAttr

from fireside.contracts.answer import Usage
from fireside.contracts.base import Action, Contract, Event, Nothing, Signal, StreamAction
from fireside.contracts.permissions import MODELS_MANAGE

ModelRole = Literal["answer"]
"""What a step asks a model for; a role is added together with the step that asks by it."""
AnswerStyle = Literal["quote", "write"]
ChatPriority = Literal["interactive", "background"]
ModelState = Literal["ready", "loading", "failed", "remote", "installed"]
ModelKind = Literal["chat", "embedding", "rerank"]
"""What a model is made for: to answer, to turn texts into vectors, to rank texts by a question."""

LONGEST_ANSWER_S = 86_400.0
"""As long as the settings of a provider may let it take; who is waited for longer ends there, and not on the way."""
URLS_SETTING = "FIRESIDE_INFERENCE_URLS"
"""The live setting that holds the present addresses of model servers that have moved."""
_URL_TOPIC = "inference.url.changed"
_SERVERS = UUID("0197f3a0-0000-7000-8000-00000000c0f3")


class ChatMessage(Contract):
    """One message of a prompt."""

    role: Literal["system", "user", "assistant"]
    content: str


class Chat(Contract):
    """A prompt for the named model, or for the first model of the role that can answer.

    `priority`: `background` for what nobody waits for; it gets a place when nothing else waits for one.
    """

    messages: tuple[ChatMessage, ...] = Field(min_length=1)
    model: str | None = None
    role: ModelRole = "answer"
    max_tokens: int | None = Field(default=None, ge=1)
    temperature: float | None = Field(default=None, ge=0.0, le=2.0)
    seed: int | None = None
    stop: tuple[str, ...] = ()
    response_format: dict[str, Any] | None = None
    priority: ChatPriority = "interactive"


class ChatQueued(Contract):
    """All places of the model are taken. Comes before the first delta, and again when the place in the line changes.

    `ahead`: requests that come before this one. `expected_wait_s`: from how long the last requests took.
    """

    type: Literal["queued"] = "queued"
    ahead: int
    expected_wait_s: float


class ChatDelta(Contract):
    """The next piece of the model's text."""

    type: Literal["delta"] = "delta"
    text: str


class ChatEnd(Contract):
    """The model has finished. `fallback` tells that another model than the one asked for answered.

    Then `instead_of` is the one that should have, and `reason` says in a few words why it did not.
    """

    type: Literal["end"] = "end"
    model: str
    finish_reason: str
    usage: Usage = Usage()
    fallback: bool = False
    instead_of: str | None = None
    reason: str = ""


class ProfileQuery(Contract):
    """Asks for the profile of a model, or of the first model of a role."""

    model: str | None = None
    role: ModelRole = "answer"


class ModelProfile(Contract):
    """Facts about a model that decide how it is used.

    `answer_style`: `quote` for models too small to be trusted with facts, `write` for the others.
    `context_tokens` is the window of one request; prompt and answer share it. `tokens_per_s` and `answers` are what was
    seen of it since the node's start. A model whose `state` is `installed` is loaded when somebody asks for it.
    """

    name: str
    state: ModelState
    answer_style: AnswerStyle
    context_tokens: int
    kind: ModelKind = "chat"
    detail: str = ""
    family: str | None = None
    quantisation: str | None = None
    size_bytes: int | None = None
    tokens_per_s: float | None = None
    answers: int = 0


class LoadModel(Contract):
    """Which model is to be loaded, or unloaded."""

    name: str


class UnloadModel(Signal):
    """Nodes that have this model loaded and do not use it give its memory back."""

    topic: ClassVar[str] = "inference.model.unload"

    name: str


class Models(Contract):
    """The models that the caller may use."""

    items: tuple[ModelProfile, ...]


class Forward(Contract):
    """A compatible client's request: `body` is the JSON as it came, `path` is `/v1/...`, `model` the name inside it.

    `priority`: as of a `Chat`.
    """

    path: str
    model: str
    body: bytes
    priority: ChatPriority = "interactive"


class Passage(Protocol):
    """The bytes of a reply themselves, on the node of the model's server.

    They come past the layers of the mesh, because these cost more than all else that is done for a word. Whoever has
    read them goes on with the stream, which has no chunk left, and then ends, or raises where they broke off.
    """

    async def read(self) -> bytes:
        """The next bytes; empty at their end, and where they break off."""
        ...

    async def pipe(self, write: Callable[[bytes], Awaitable[None]]) -> None:
        """Have all bytes written that are still to come, each piece in the moment it comes, in no task if need be.

        It ends also where they break off. A piece waits until the one before is written.
        """
        ...


class ForwardHead(Contract):
    """How the model's server answered; comes once, before the first chunk."""

    type: Literal["head"] = "head"
    status: int
    media_type: str
    _passage: Passage | None = PrivateAttr(default=None)

    @property
    def passage(self) -> Passage | None:
        """The bytes themselves; None for the reply of another node, which comes in chunks."""
        return self._passage

    def followed_by(self, passage: Passage) -> Self:
        """The same head, from now on with the bytes that follow it."""
        self._passage = passage
        return self


class ForwardChunk(Contract):
    """Bytes of the reply, in order, cut wherever the network cut them."""

    type: Literal["chunk"] = "chunk"
    data: bytes


class ModelReady(Signal):
    """A model on one of our machines can answer, for the first time or again after a restart; it has cached nothing."""

    topic: ClassVar[str] = "inference.model.ready"

    name: str


class InferenceUrlChanged(Event):
    """A server of models is to be reached at another address, from its next request on.

    `name` is that of the server or of one of its models; `url` is None for the address it is configured with.
    `version` is that of the configuration which says so; whoever states the fact from outside leaves it out, and the
    configuration follows.
    """

    topic: ClassVar[str] = _URL_TOPIC

    name: str
    url: str | None
    version: int | None = None

    @property
    def aggregate_id(self) -> UUID:
        """The server, as far as it is known by this name."""
        return uuid5(_SERVERS, self.name)


class MoveInferenceUrl(Signal):
    """The same, told as an event of the mesh: by a Moleculer service that cannot publish facts."""

    topic: ClassVar[str] = _URL_TOPIC

    name: str
    url: str | None


CHAT = StreamAction[Chat, ChatQueued | ChatDelta | ChatEnd](
    "inference.chat", Chat, ChatQueued | ChatDelta | ChatEnd, access="models:use", timeout_s=LONGEST_ANSWER_S
)
"""Where it stands in line, while it waits; deltas; then exactly one end.

Raises `UnavailableError` when no model of the chain can answer.
"""

FORWARD = StreamAction[Forward, ForwardHead | ForwardChunk](
    "inference.forward", Forward, ForwardHead | ForwardChunk, access="models:use", timeout_s=LONGEST_ANSWER_S
)
PROFILE = Action("inference.profile", ProfileQuery, ModelProfile, access="models:use", idempotent=True)
MODELS = Action("inference.models", Nothing, Models, access="models:use", idempotent=True)
LOAD = Action("inference.load", LoadModel, ModelProfile, access=MODELS_MANAGE, idempotent=True)
"""Begins to load a model on the node that is asked; raises `OverloadedError` when what is in use leaves no room."""
UNLOAD = Action("inference.unload", LoadModel, ModelProfile, access=MODELS_MANAGE, idempotent=True)
"""Unloads a model on every node where nobody uses it; raises `ConflictError` for one that is to stay loaded."""
