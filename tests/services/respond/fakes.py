"""Stand-ins around the respond service: an embedder that counts words, a model that follows a script."""

import asyncio
import zlib
from collections.abc import AsyncGenerator, Sequence

import numpy as np

from fireside.contracts.answer import Passage, Usage
from fireside.contracts.embeddings import EMBED, Embeddings, EmbedTexts
from fireside.contracts.inference import CHAT, PROFILE, Chat, ChatDelta, ChatEnd, ChatQueued, ModelProfile, ProfileQuery
from fireside.core.errors import NotFoundError, UnavailableError
from fireside.core.ids import ChunkId, DocumentId, new_id
from fireside.core.lexicon import content_terms
from fireside.runtime.mesh import Context, Service, action, stream_action

DIMENSIONS = 256


class WordEmbeddings(Service):
    """Texts with the same words get near vectors."""

    name = "embeddings"

    def __init__(self) -> None:
        self.is_down = False
        self.asked: list[tuple[str, ...]] = []

    @action(EMBED)
    async def embed(self, context: Context, request: EmbedTexts) -> Embeddings:
        if self.is_down:
            raise UnavailableError("the embedder is down")
        self.asked.append(request.texts)
        rows = np.stack([_vector(text) for text in request.texts])
        return Embeddings(model="words", dimensions=DIMENSIONS, vectors=rows.astype("<f4").tobytes())


def _vector(text: str) -> np.ndarray:
    row = np.full(DIMENSIONS, 1e-6, dtype=np.float32)
    for term in content_terms(text, "en"):
        row[zlib.crc32(term.encode()) % DIMENSIONS] += 1.0
    return row / np.linalg.norm(row)


class ScriptedModel(Service):
    """A model that says what the test told it to say, in the pieces it was given."""

    name = "inference"

    def __init__(self, *, style: str = "quote", context_tokens: int = 4096) -> None:
        self.style = style
        self.context_tokens = context_tokens
        self.says: list[str] = []
        self.fails_after: int | None = None
        self.is_fallback = False
        self.finish_reason = "stop"
        self.hangs = False
        self.is_absent = False
        self.waits: list[int] = []
        self.requests: list[Chat] = []
        self.stopped = asyncio.Event()

    @action(PROFILE)
    async def profile(self, context: Context, request: ProfileQuery) -> ModelProfile:
        if self.is_absent:
            raise UnavailableError("no model")
        if request.model == "unknown":
            raise NotFoundError("no model of that name")
        return ModelProfile.model_validate(
            {
                "name": "scripted",
                "state": "ready",
                "answer_style": self.style,
                "context_tokens": self.context_tokens,
            }
        )

    @stream_action(CHAT)
    async def chat(self, context: Context, request: Chat) -> AsyncGenerator[ChatQueued | ChatDelta | ChatEnd]:
        self.requests.append(request)
        try:
            for ahead in self.waits:
                yield ChatQueued(ahead=ahead, expected_wait_s=ahead * 4.0)
            for index, text in enumerate(self.says):
                if self.fails_after == index:
                    raise UnavailableError("the engine stopped")
                yield ChatDelta(text=text)
            if self.fails_after == len(self.says):
                raise UnavailableError("the engine stopped")
            if self.hangs:
                await asyncio.Event().wait()
            usage = Usage(prompt_tokens=10, completion_tokens=5, total_tokens=15)
            yield ChatEnd(model="scripted", finish_reason=self.finish_reason, usage=usage, fallback=self.is_fallback)
        finally:
            self.stopped.set()


def passage(
    text: str, *, title: str = "Leave", heading: str | None = None, document: DocumentId | None = None
) -> Passage:
    """A passage of a document of its own, unless one is named."""
    document_id = document or DocumentId(new_id())
    return Passage(
        document_id=document_id,
        chunk_id=ChunkId(new_id()),
        path=f"{title.lower()}.md",
        title=title,
        heading=heading,
        text=text,
        score=0.5,
        end=len(text),
    )


def texts(messages: Sequence[object]) -> str:
    """All messages of a request as one text."""
    return "\n".join(getattr(message, "content", "") for message in messages)
