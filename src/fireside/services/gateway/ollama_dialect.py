"""Ollama's shapes of answers, models and errors. No I/O, but for the clock that durations are measured with."""

import hashlib
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar, Literal

import orjson

from fireside.contracts.embeddings import EmbeddingModel
from fireside.contracts.inference import ModelKind, ModelProfile
from fireside.core.errors import FiresideError
from fireside.core.openai_wire import json_object
from fireside.services.gateway.completions import (
    Completion,
    CompletionEvent,
    Ended,
    ReasoningPiece,
    TextPiece,
    ToolCall,
    ToolCallPiece,
)
from fireside.services.gateway.openai_dialect import PIPELINE_MODEL

Json = dict[str, Any]

NDJSON = "application/x-ndjson"
API_VERSION = "0.12.0"
"""The release of Ollama whose interface this is; clients look at it to learn what they may use."""

DEFAULT_TAG = ":latest"

_CAPABILITIES: dict[ModelKind, list[str]] = {"chat": ["completion", "tools"], "embedding": ["embedding"], "rerank": []}
_NEVER = "9999-12-31T23:59:59Z"
_BEGINNING = "1970-01-01T00:00:00Z"
_LINE_BREAKS = {text.encode(): rb"\u%04x" % ord(text) for text in ("\u0085", "\u2028", "\u2029")}
"""What Unicode ends a line with and JSON leaves as it is, and how JSON writes it besides."""


class AnswerWriter:
    """Writes one answer as lines of JSON: messages of a chat, or responses to a prompt."""

    media_type: ClassVar[str] = NDJSON

    def __init__(self, model: str, kind: Literal["chat", "generate"]) -> None:
        """Begin an answer; its durations are measured from now on.

        Args:
            model: The name that the client knows.
            kind: Which of the two shapes.
        """
        self._model, self._kind = model, kind
        self._began = time.perf_counter_ns()
        self._first = 0
        self._calls = Completion()

    def begin(self) -> bytes:
        """Nothing: the first line is the first piece."""
        return b""

    def write(self, event: CompletionEvent) -> bytes:
        """A line a piece; tool calls wait for the end, because Ollama tells them whole."""
        self._first = self._first or time.perf_counter_ns()
        match event:
            case TextPiece():
                return self._line(self._part(text=event.text), logprobs=list(event.logprobs) or None)
            case ReasoningPiece():
                return self._line(self._part(thinking=event.text))
            case ToolCallPiece():
                self._calls.add(event)
                return b""
            case Ended():
                called = self._calls.tool_calls
                self._calls.add(event)
                told = self._line(self._part(calls=called)) if called else b""
                return told + self._line(self._part(), **self._ending(self._calls))

    def failed(self, error: FiresideError) -> bytes:
        """The error as the last line."""
        return json_line(error_body(error))

    def whole(self, completion: Completion) -> Json:
        """The answer in one piece."""
        part = self._part(text=completion.text, thinking=completion.reasoning, calls=completion.tool_calls)
        return self._body(part, logprobs=completion.logprobs or None, **self._ending(completion))

    def loaded(self) -> Json:
        """The answer to a request that only asks that the model be there."""
        return self._body(self._part(), done=True, done_reason="load")

    def _part(self, *, text: str = "", thinking: str = "", calls: Sequence[ToolCall] = ()) -> Json:
        thought = {"thinking": thinking} if thinking else {}
        if self._kind == "generate":
            return {"response": text, **thought}
        called: Json = {"tool_calls": [_call(call) for call in calls]} if calls else {}
        return {"message": {"role": "assistant", "content": text, **thought, **called}}

    def _ending(self, completion: Completion) -> Json:
        now = time.perf_counter_ns()
        first = self._first or completion.first_ns or now
        answered = max(now - first, 1)  # clients divide by it
        return {
            "done": True,
            "done_reason": "length" if completion.finish_reason == "length" else "stop",
            "total_duration": first - self._began + answered,
            "load_duration": 0,
            "prompt_eval_count": completion.usage.prompt_tokens,
            "prompt_eval_duration": first - self._began,
            "eval_count": completion.usage.completion_tokens,
            "eval_duration": answered,
        }

    def _line(self, part: Json, **fields: Any) -> bytes:
        return json_line(self._body(part, **fields))

    def _body(self, part: Json, **fields: Any) -> Json:
        created_at = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        said = {name: value for name, value in fields.items() if value is not None}
        return {"model": self._model, "created_at": created_at, **part, "done": False, **said}


def json_line(body: Json) -> bytes:
    """One line of a stream, also for readers who look for the line breaks of Unicode, as Ollama's own client does."""
    line = orjson.dumps(body)
    for raw, escaped in _LINE_BREAKS.items():  # they stand in strings only
        line = line.replace(raw, escaped)
    return line + b"\n"


def _call(call: ToolCall) -> Json:
    try:
        arguments = json_object(orjson.loads(call.arguments))
    except orjson.JSONDecodeError:  # the model did not finish it, or was cut off
        arguments = {}
    return {"id": call.id, "function": {"name": call.name, "arguments": arguments}}


def model_card(name: str, profile: ModelProfile | None = None) -> Json:
    """A model in the list of models; the pipeline and the embedding model have no profile."""
    tagged = name if ":" in name else name + DEFAULT_TAG  # some clients look names up with their tag only
    return {
        "name": tagged,
        "model": tagged,
        "modified_at": _BEGINNING,
        "size": (profile and profile.size_bytes) or 0,
        "digest": hashlib.sha256(name.encode()).hexdigest(),  # of the name: it only has to tell models apart
        "details": _details(name, profile),
    }


def running_card(profile: ModelProfile) -> Json:
    """A model in the list of those that are loaded."""
    card = model_card(profile.name, profile)
    return card | {"expires_at": _NEVER, "size_vram": 0, "context_length": profile.context_tokens}


def model_facts(name: str, profile: ModelProfile | None, embedder: EmbeddingModel | None = None) -> Json:
    """Everything known about a model."""
    details = _details(name, profile)
    family = details["family"]
    facts: Json = {"general.architecture": family, "general.basename": name}
    if profile is not None:
        facts[f"{family}.context_length"] = profile.context_tokens
    if embedder is not None:
        facts |= {f"{family}.embedding_length": embedder.dimensions, f"{family}.context_length": embedder.max_tokens}
    return {
        "modelfile": "",
        "parameters": "",
        "template": "",
        "details": details,
        "model_info": facts,
        "capabilities": _CAPABILITIES[profile.kind] if profile else _other_capabilities(name),
        "modified_at": _BEGINNING,
    }


def embeddings_body(model: str, vectors: list[list[float]], *, tokens: int, began_ns: int) -> Json:
    """The reply to a request for embeddings."""
    elapsed = time.perf_counter_ns() - began_ns
    return {
        "model": model,
        "embeddings": vectors,
        "total_duration": elapsed,
        "load_duration": 0,
        "prompt_eval_count": tokens,
    }


def error_body(error: FiresideError) -> Json:
    """An error in Ollama's shape; `code` says more exactly what it is."""
    return {"error": error.message, "code": error.code}


def _details(name: str, profile: ModelProfile | None) -> Json:
    family = (profile and profile.family) or (PIPELINE_MODEL if name == PIPELINE_MODEL else "unknown")
    return {
        "parent_model": "",
        "format": "gguf" if profile and profile.size_bytes else "",
        "family": family,
        "families": [family],
        "parameter_size": "",
        "quantization_level": (profile and profile.quantisation) or "",
    }


def _other_capabilities(name: str) -> list[str]:
    return ["completion"] if name == PIPELINE_MODEL else ["embedding"]
