"""OpenAI's shapes: requests read into contracts, answer events written as completions. No I/O.

The reference is OpenAI's API documentation of chat completions and embeddings; citations travel as `annotations` of the
message, the way OpenAI's own search models send them.
"""

import base64
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field

from fireside.contracts.answer import Source, Usage
from fireside.contracts.chat import MOST_TURNS, CompleteTurns
from fireside.contracts.embeddings import EmbeddingModel, Embeddings
from fireside.contracts.inference import ChatPriority
from fireside.core.errors import FiresideError, InvalidInputError
from fireside.core.ids import new_id
from fireside.services.gateway.completions import (
    Completion,
    CompletionEvent,
    Ended,
    TextPiece,
    marked_sources,
)
from fireside.services.gateway.request_bodies import read_json, read_request

PIPELINE_MODEL = "fireside"

SSE = "text/event-stream"
DONE = b"data: [DONE]\n\n"

_FLOAT_BYTES = 4
_TYPES = {403: "permission_error", 429: "requests"}
_CODES = {"invalid_credential": "invalid_api_key", "rate_limited": "rate_limit_exceeded"}
_LIMITS = {
    "requests": ("requests", "rate_limit_exceeded"),
    "tokens": ("tokens", "rate_limit_exceeded"),
    "cost": ("insufficient_quota", "insufficient_quota"),
}


class ContentPart(BaseModel):
    """One part of a message's content; only text is read."""

    model_config = ConfigDict(extra="ignore")

    type: str
    text: str | None = None


class ChatMessageIn(BaseModel):
    """A message as clients send it."""

    model_config = ConfigDict(extra="ignore")

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[ContentPart] | None = None

    @property
    def text(self) -> str:
        """The message's text, its text parts joined by line breaks, without the character U+0000."""
        if isinstance(self.content, str):
            return self.content.replace("\x00", "")
        return "\n".join(part.text for part in self.content or () if part.text).replace("\x00", "")


class ResponseFormat(BaseModel):
    """The shape of the answer; the pipeline's is always text."""

    model_config = ConfigDict(extra="ignore")

    type: Literal["text"]


class PipelineRequest(BaseModel):
    """What is read of a chat completion request for the whole pipeline; the rest does not apply to it.

    Answers are text, one a request: what cannot be given is refused, not ignored.
    """

    model_config = ConfigDict(extra="ignore")

    model: str
    messages: list[ChatMessageIn] = Field(min_length=1)
    stream: bool | None = None
    stream_options: dict[str, Any] | None = None
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    n: int | None = Field(default=None, ge=1, le=1)
    response_format: ResponseFormat | None = None

    def turns(self) -> CompleteTurns:
        """The conversation for the pipeline, its newest turns: system messages become instructions.

        Raises:
            InvalidInputError: The last message is not a question, or the instructions are too long.
        """
        spoken = [
            message for message in self.messages if message.role in {"user", "assistant"} and message.text.strip()
        ]
        if not spoken or spoken[-1].role != "user":
            raise InvalidInputError("the last message must be from the user and hold text", param="messages")
        notes = [message.text for message in self.messages if message.role in {"system", "developer"} and message.text]
        turns = {
            "turns": [{"role": message.role, "content": message.text} for message in spoken[-MOST_TURNS:]],
            "instructions": "\n".join(notes) or None,
            "max_tokens": self.max_completion_tokens or self.max_tokens,
        }
        return read_request(CompleteTurns, turns, param="messages")


class PromptRequest(BaseModel):
    """What is read of a request to go on with a prompt; all of it is passed on."""

    model_config = ConfigDict(extra="allow")

    model: str
    prompt: str | list[str] = ""


class EmbeddingsRequest(BaseModel):
    """A request for vectors of an embedding model of Fireside's.

    Arrays of token ids are not supported, because they belong to another tokenizer.
    """

    model_config = ConfigDict(extra="ignore")

    model: str
    input: str | list[str] = Field(union_mode="left_to_right")
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = Field(default=None, ge=1)

    @property
    def texts(self) -> tuple[str, ...]:
        """What to embed, in order."""
        return (self.input,) if isinstance(self.input, str) else tuple(self.input)


@dataclass(frozen=True, slots=True)
class Envelope:
    """What is needed to know where a request goes: its model, and whether it asks for a stream."""

    model: str
    body: dict[str, Any]

    @property
    def is_pipeline(self) -> bool:
        """Whether the whole pipeline is to answer."""
        return self.model == PIPELINE_MODEL

    @property
    def priority(self) -> ChatPriority:
        """`background` for what its client calls flexible: slower, and never in the way of others."""
        return "background" if self.body.get("service_tier") == "flex" else "interactive"


def read_envelope(body: bytes) -> Envelope:
    """Read a request just far enough to route it.

    Raises:
        InvalidInputError: Not a JSON object, or without a model's name.
    """
    request = read_json(body)
    model = request.get("model")
    if not isinstance(model, str) or not model:
        raise InvalidInputError("'model' is missing; GET /v1/models lists what there is", param="model")
    return Envelope(model=model, body=request)


class CompletionWriter:
    """Writes one answer of the pipeline in OpenAI's shapes."""

    media_type: ClassVar[str] = SSE

    def __init__(self, *, with_usage: bool) -> None:
        """Begin an answer.

        Args:
            with_usage: Whether a stream ends with its usage.
        """
        self._with_usage = with_usage
        self._id = f"chatcmpl-{new_id().hex}"
        self._created = int(time.time())

    def begin(self) -> bytes:
        """The first chunk, which names the role."""
        return self._chunk({"role": "assistant", "content": ""})

    def write(self, event: CompletionEvent) -> bytes:
        """A chunk of text, or the last ones: citations and reason of the end, usage if asked for, `[DONE]`."""
        if isinstance(event, TextPiece):
            return self._chunk({"content": event.text})
        if not isinstance(event, Ended):
            return b""
        last = self._chunk({"annotations": annotations(event.text or "", event.sources)}, event.finish_reason)
        counted: dict[str, Any] = {"choices": [], "usage": usage_body(event.usage)}
        return last + (self._event(counted) if self._with_usage else b"") + DONE

    def failed(self, error: FiresideError) -> bytes:
        """An error that came in the middle of a stream."""
        return failed_chunk(error) + DONE

    def whole(self, completion: Completion) -> dict[str, Any]:
        """The answer in one piece."""
        message = {
            "role": "assistant",
            "content": completion.text,
            "refusal": None,
            "annotations": annotations(completion.text, completion.sources),
        }
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": completion.finish_reason}
        return self._envelope("chat.completion") | {"choices": [choice], "usage": usage_body(completion.usage)}

    def _chunk(self, delta: dict[str, Any], finish_reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return self._event({"choices": [choice]})

    def _event(self, body: dict[str, Any]) -> bytes:
        return b"data: " + orjson.dumps(self._envelope("chat.completion.chunk") | body) + b"\n\n"

    def _envelope(self, kind: str) -> dict[str, Any]:
        return {"id": self._id, "object": kind, "created": self._created, "model": PIPELINE_MODEL}


def annotations(content: str, sources: Sequence[Source]) -> list[dict[str, Any]]:
    """Each `[n]` of the text as a citation of its source, with its place in the text in characters."""
    found: list[dict[str, Any]] = []
    for start, end, source in marked_sources(content, sources):
        citation = {"start_index": start, "end_index": end, "title": source.title, "url": source.url}
        found.append({"type": "url_citation", "url_citation": citation})
    return found


def embeddings_body(made: Embeddings, *, encoding: str, texts: Sequence[str]) -> dict[str, Any]:
    """The reply to a request for embeddings.

    Args:
        made: The vectors, one a text.
        encoding: `base64` sends their bytes (float32, little-endian), `float` numbers.
        texts: What was embedded; the usage counts their words, as the embedder keeps its tokens to itself.
    """
    width = made.dimensions * _FLOAT_BYTES
    rows = [made.vectors[start : start + width] for start in range(0, len(made.vectors), width)]
    data = [
        {"object": "embedding", "index": index, "embedding": _encoded(row, encoding)} for index, row in enumerate(rows)
    ]
    words = sum(len(text.split()) for text in texts)
    usage = {"prompt_tokens": words, "total_tokens": words}
    return {"object": "list", "data": data, "model": made.model, "usage": usage}


def _encoded(vector: bytes, encoding: str) -> str | list[float]:
    return base64.b64encode(vector).decode() if encoding == "base64" else list(memoryview(vector).cast("f"))


def error_body(error: FiresideError) -> dict[str, Any]:
    """An error in OpenAI's shape."""
    kind = _TYPES.get(error.status, "invalid_request_error" if error.status < 500 else "server_error")
    param = error.details.get("param") or ("model" if "model" in error.details else None)
    code = _CODES.get(error.code, error.code)
    if error.code == "limit_exceeded":
        kind, code = _LIMITS.get(str(error.details.get("unit")), _LIMITS["requests"])
    return {"error": {"message": error.message, "type": kind, "param": param, "code": code}}


def failed_chunk(error: FiresideError) -> bytes:
    """An error that came in the middle of a stream."""
    return b"data: " + orjson.dumps(error_body(error)) + b"\n\n"


def usage_body(usage: Usage) -> dict[str, Any]:
    """Tokens, as OpenAI counts them."""
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
    }


def model_card(name: str, embedder: EmbeddingModel | None = None) -> dict[str, Any]:
    """One entry of the list of models, for clients of OpenAI and of Anthropic, who ask at the same address."""
    of_openai: dict[str, Any] = {"id": name, "object": "model", "created": 0, "owned_by": "fireside"}
    if embedder is not None:
        of_openai["embedding"] = embedder.model_dump(include={"version", "dimensions", "max_tokens", "pooling"})
    return of_openai | {"type": "model", "display_name": name, "created_at": "1970-01-01T00:00:00Z"}


def model_list(names: Sequence[str], embedders: Sequence[EmbeddingModel] = ()) -> dict[str, Any]:
    """All models, on one page."""
    embedding = {model.name: model for model in embedders}
    ends = {"has_more": False, "first_id": names[0], "last_id": names[-1]}
    return {"object": "list", "data": [model_card(name, embedding.get(name)) for name in names], **ends}
