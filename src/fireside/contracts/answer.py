"""The events of an answer: what respond and chat emit, what browsers and other clients read.

One model for every rendering (SSE, NDJSON, WebSocket, stored messages). The wire name of an event is
its `type`. Shared building blocks (turns, passages, usage) stand here too; behaviour does not.
"""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field

from fireside.contracts.base import Contract
from fireside.core.ids import ChunkId, DocumentId, MessageId

Mode = Literal["company", "general"]
RequestedMode = Literal["auto", "company", "general"]
Stage = Literal["think", "act", "respond", "check"]
StepStatus = Literal["started", "done", "skipped", "failed"]
FinishReason = Literal["stop", "length", "content_filter"]
Grounding = Literal["supported", "partial", "unsupported"]


class Turn(Contract):
    """One earlier message of the conversation, as the pipeline sees it."""

    role: Literal["user", "assistant"]
    content: str


class Span(Contract):
    """A half-open character range `[start, end)` of a text."""

    start: int = Field(ge=0)
    end: int = Field(ge=0)


class Passage(Contract):
    """A stored piece of a document that search found, with all that is needed to show and cite it.

    `start` and `end` are the passage's character range in the text of its document; `stages` holds the
    score that each stage of the search gave it (names as `documents.search` reports them).
    """

    document_id: DocumentId
    chunk_id: ChunkId
    path: str
    title: str
    url: str | None = None
    heading: str | None = None
    page: int | None = None
    text: str
    score: float
    stages: dict[str, float] = Field(default_factory=dict)
    updated_at: datetime | None = None
    start: int = Field(default=0, ge=0)
    end: int = Field(default=0, ge=0)


class Source(Contract):
    """A cited passage; `[n]` in the answer's text points at it.

    `start` and `end` are the passage's range in its document, `spans` the ranges of `text` that the
    answer quotes or rests on.
    """

    n: int = Field(ge=1)
    document_id: DocumentId
    chunk_id: ChunkId
    path: str
    title: str
    url: str | None = None
    heading: str | None = None
    page: int | None = None
    text: str
    score: float
    updated_at: datetime | None = None
    start: int = Field(default=0, ge=0)
    end: int = Field(default=0, ge=0)
    spans: tuple[Span, ...] = ()


class Usage(Contract):
    """Tokens that one answer took, over all its model calls; zero when no model was asked."""

    prompt_tokens: int = Field(default=0, ge=0)
    completion_tokens: int = Field(default=0, ge=0)
    total_tokens: int = Field(default=0, ge=0)
    cached_tokens: int = Field(default=0, ge=0)


class Claim(Contract):
    """One statement of the answer, the sources it cites, and whether they support it."""

    text: str
    sources: tuple[int, ...]
    supported: bool


class ConflictingValue(Contract):
    """What one source says about a matter on which sources disagree."""

    n: int = Field(ge=1)
    value: str
    text: str


class Conflict(Contract):
    """A matter on which cited sources contradict each other."""

    subject: str
    values: tuple[ConflictingValue, ...]


class Step(Contract):
    """A stage of the pipeline began, ended, was skipped or failed."""

    type: Literal["step"] = "step"
    stage: Stage
    name: str
    status: StepStatus
    detail: str = ""
    elapsed_ms: float | None = None


class Sources(Contract):
    """The passages that the answer may cite, numbered from 1."""

    type: Literal["sources"] = "sources"
    sources: tuple[Source, ...]


class Token(Contract):
    """The next piece of the answer's text."""

    type: Literal["token"] = "token"
    text: str


class Quality(Contract):
    """What the check of the finished text against its sources found."""

    type: Literal["quality"] = "quality"
    grounded: Grounding
    claims: tuple[Claim, ...] = ()
    conflicts: tuple[Conflict, ...] = ()


class Artifact(Contract):
    """A document that the answer produced."""

    type: Literal["artifact"] = "artifact"
    artifact_id: UUID
    name: str
    media_type: str
    version: int = Field(ge=1)


class Final(Contract):
    """The whole answer. `content` is authoritative: it replaces the text put together from tokens.

    `finish_reason`: why it ends there: of itself, at the longest that was allowed, or because a provider stopped it.
    """

    type: Literal["final"] = "final"
    message_id: MessageId | None = None
    content: str
    mode: Mode
    model: str | None = None
    confidence: float = Field(ge=0.0, le=1.0)
    confidence_reasons: tuple[str, ...] = ()
    sources: tuple[Source, ...] = ()
    usage: Usage = Usage()
    degraded: tuple[str, ...] = ()
    finish_reason: FinishReason = "stop"


class Failed(Contract):
    """The answer ended with an error; the fields are those of a problem document (RFC 9457)."""

    type: Literal["error"] = "error"
    code: str
    title: str
    status: int
    detail: str = ""
    request_id: str | None = None
    details: dict[str, Any] = Field(default_factory=dict)


class Done(Contract):
    """Nothing follows."""

    type: Literal["done"] = "done"


AnswerEvent = Annotated[
    Step | Sources | Token | Quality | Artifact | Final | Failed | Done,
    Field(discriminator="type"),
]
