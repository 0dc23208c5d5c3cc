"""An embedding model of a server that has OpenAI's `/v1/embeddings`: OpenAI, Ollama, vLLM, llama-server and others.

Texts of calls that come while all requests are on their way share the next one, so that many small calls cost few
requests, as with the models inside Fireside.
"""

import asyncio
from base64 import b64decode
from collections import deque
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import orjson

from fireside.core.errors import FiresideError
from fireside.core.openai_wire import refusal
from fireside.core.tasks import Tasks
from fireside.ports.embedder import EmbedderFacts, EmbedderFailedError, EmbedderUnavailableError, Vectors
from fireside.ports.language_model import RawReply

_PATH = "/v1/embeddings"
_NOBODY_BEHIND = frozenset({502, 504})
"""What a proxy says whose server is away."""


class Connection(Protocol):
    """The way to a server."""

    def forward(self, path: str, body: bytes) -> AbstractAsyncContextManager[RawReply]:
        """Send a request of the OpenAI dialect."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


@dataclass(slots=True, eq=False)
class _Text:
    text: str
    vector: "asyncio.Future[Vectors]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class OpenAiServerEmbedder:
    """Embeds with a model of a server."""

    ready = True

    def __init__(
        self, connection: Connection, facts: EmbedderFacts, *, model: str, batch_texts: int = 64, parallel: int = 2
    ) -> None:
        """Prepare; nothing is sent.

        Args:
            connection: To the server; it is closed with the embedder.
            facts: About the model. The server's vectors must have the dimensions that they say.
            model: The model's name on the server.
            batch_texts: Most texts of one request.
            parallel: Most requests at once.
        """
        self._connection = connection
        self._facts = facts
        self._model = model
        self._batch_texts = batch_texts
        self._parallel = parallel
        self._waiting: deque[_Text] = deque()
        self._senders = Tasks()
        self._closed = False

    @property
    def facts(self) -> EmbedderFacts:
        """What the model is."""
        return self._facts

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Embed texts: (n, d) float32, rows of unit length."""
        if self._closed:
            raise EmbedderUnavailableError("the embedder was closed")
        if not texts:
            return np.empty((0, self._facts.dimensions), dtype=np.float32)
        asked = [_Text(_readable(text)) for text in texts]
        self._waiting.extend(asked)
        while len(self._senders) < min(self._parallel, len(self._waiting)):
            self._senders.run(self._send_all())
        try:
            return np.stack(await asyncio.gather(*(item.vector for item in asked)))
        finally:
            for item in asked:
                item.vector.cancel()

    async def warm_up(self) -> None:
        """See that the server embeds."""
        await self.embed(["ready?"])

    async def aclose(self) -> None:
        """Let go of the connection; calls still waiting fail."""
        self._closed = True
        await self._senders.end()
        _fail(self._waiting, EmbedderUnavailableError("the embedder was closed"))
        await self._connection.close()

    async def _send_all(self) -> None:
        """Send requests until nothing waits. Calls that come in the same turn of the loop are waited for."""
        await asyncio.sleep(0)
        while self._waiting:
            batch: list[_Text] = []
            while self._waiting and len(batch) < self._batch_texts:
                item = self._waiting.popleft()
                if not item.vector.done():  # its caller may have left
                    batch.append(item)
            if batch:
                await self._send(batch)

    async def _send(self, batch: Sequence[_Text]) -> None:
        try:
            rows = await self._ask([item.text for item in batch])
        except FiresideError as error:
            _fail(batch, error)
            return
        except asyncio.CancelledError:
            _fail(batch, EmbedderUnavailableError("the embedder was closed"))
            raise
        for item, row in zip(batch, rows, strict=True):
            if not item.vector.done():
                item.vector.set_result(row)

    async def _ask(self, texts: Sequence[str]) -> Vectors:
        body = orjson.dumps({"model": self._model, "input": texts, "encoding_format": "float"})
        async with self._connection.forward(_PATH, body) as reply:
            content = b"".join([piece async for piece in reply.chunks])
        if reply.status in _NOBODY_BEHIND:
            raise EmbedderUnavailableError(f"the server of {self._model} is away: its proxy answers {reply.status}")
        if reply.status != 200:
            raise refusal(reply.status, content, retry_after=reply.retry_after)
        try:
            found = {int(item["index"]): _numbers(item["embedding"]) for item in orjson.loads(content)["data"]}
            rows = np.stack([found[number] for number in range(len(texts))])
        except (ValueError, KeyError, TypeError) as error:
            raise EmbedderFailedError(f"the server's answer is none of embeddings: {error}") from error
        return self._checked(rows)

    def _checked(self, rows: Vectors) -> Vectors:
        """The rows, scaled to unit length."""
        if rows.ndim != 2 or rows.shape[1] != self._facts.dimensions:
            found, wanted = rows.shape[-1], self._facts.dimensions
            raise EmbedderFailedError(f"{self._model} gives vectors of {found} dimensions; {wanted} are configured")
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        if not np.isfinite(lengths).all() or not lengths.all():
            raise EmbedderFailedError(f"{self._model} gives vectors without a direction")
        return rows / lengths


def _numbers(value: Any) -> Vectors:
    """A vector, as numbers or as base64 of them, which some servers send whatever they are asked."""
    if isinstance(value, str):
        return np.frombuffer(b64decode(value), dtype="<f4").astype(np.float32)
    return np.asarray(value, dtype=np.float32)


def _readable(text: str) -> str:
    """The text without what cannot be sent; a blank one, which servers refuse, as a single stop."""
    clean = text.encode("utf-8", "replace").decode()
    return clean if clean.strip() else "."


def _fail(items: Sequence[_Text] | deque[_Text], error: FiresideError) -> None:
    for item in items:
        if not item.vector.done():
            item.vector.set_exception(error)
