"""Anthropic's shapes of answers and errors: messages, their events in the order of the real API, citations. No I/O."""

from collections.abc import Sequence
from typing import Any, ClassVar

import orjson

from fireside.contracts.answer import Source, Usage
from fireside.core.errors import FiresideError
from fireside.core.ids import new_id
from fireside.core.openai_wire import json_object
from fireside.runtime.streams import server_sent
from fireside.services.gateway.completions import (
    Completion,
    CompletionEvent,
    Ended,
    TextPiece,
    ToolCallPiece,
    marked_sources,
)

Json = dict[str, Any]

_STOP_REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}
_ERRORS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    422: "invalid_request_error",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}


class MessageWriter:
    """Writes one answer as a message."""

    media_type: ClassVar[str] = "text/event-stream"

    def __init__(self, model: str) -> None:
        self._model = model
        self._id = f"msg_{new_id().hex}"
        self._block = -1
        self._open: int | None = None
        """Which tool call the open block is; -1 for text, None when no block is open."""
        self._called = False

    def begin(self) -> bytes:
        """The message without its content."""
        message = self._message([], None, Usage())
        return _event("message_start", message=message) + _event("ping")

    def write(self, event: CompletionEvent) -> bytes:
        """The next events: a block is begun and ended where its content is."""
        match event:
            case TextPiece():
                begun = self._begin_block(-1, {"type": "text", "text": ""})
                return begun + self._delta({"type": "text_delta", "text": event.text})
            case ToolCallPiece():
                return self._write_call(event)
            case Ended():
                return self._end(event)
            case _:
                return b""

    def failed(self, error: FiresideError) -> bytes:
        """The error as the last event."""
        return b"event: error\ndata: " + orjson.dumps(error_body(error)) + b"\n\n"

    def whole(self, completion: Completion) -> Json:
        """The message in one piece."""
        content: list[Json] = []
        if completion.text or not completion.tool_calls:
            found = citations(completion.text, completion.sources)
            content.append({"type": "text", "text": completion.text, "citations": found or None})
        content += [
            {"type": "tool_use", "id": call.id, "name": call.name, "input": _input(call.arguments)}
            for call in completion.tool_calls
        ]
        stop_reason = _stop_reason(completion.finish_reason, called=bool(completion.tool_calls))
        return self._message(content, stop_reason, completion.usage)

    def _write_call(self, piece: ToolCallPiece) -> bytes:
        self._called = True
        tool: Json = {"type": "tool_use", "id": piece.id, "name": piece.name, "input": {}}
        begun = self._begin_block(piece.index, tool)
        if not piece.arguments:
            return begun
        return begun + self._delta({"type": "input_json_delta", "partial_json": piece.arguments})

    def _begin_block(self, kind: int, block: Json) -> bytes:
        if self._open == kind:
            return b""
        ended = self._end_block()
        self._open, self._block = kind, self._block + 1
        return ended + _event("content_block_start", index=self._block, content_block=block)

    def _end_block(self) -> bytes:
        return b"" if self._open is None else _event("content_block_stop", index=self._block)

    def _delta(self, delta: Json) -> bytes:
        return _event("content_block_delta", index=self._block, delta=delta)

    def _end(self, end: Ended) -> bytes:
        begun = self._begin_block(-1, {"type": "text", "text": ""}) if self._open is None else b""
        cited = [
            self._delta({"type": "citations_delta", "citation": citation})
            for citation in citations(end.text or "", end.sources)
        ]
        delta = {"stop_reason": _stop_reason(end.finish_reason, called=self._called), "stop_sequence": None}
        return b"".join(
            (
                begun,
                *cited,
                self._end_block(),
                _event("message_delta", delta=delta, usage=_usage(end.usage)),
                _event("message_stop"),
            )
        )

    def _message(self, content: list[Json], stop_reason: str | None, usage: Usage) -> Json:
        return {
            "id": self._id,
            "type": "message",
            "role": "assistant",
            "model": self._model,
            "content": content,
            "stop_reason": stop_reason,
            "stop_sequence": None,
            "usage": _usage(usage),
        }


def citations(text: str, sources: Sequence[Source]) -> list[Json]:
    """The sources that marks such as `[1]` in the text point at, each once, in the order of their first marks."""
    marked = {source.n: source for _, _, source in marked_sources(text, sources)}
    return [
        {
            "type": "search_result_location",
            "cited_text": source.text,
            "search_result_index": source.n - 1,
            "source": source.url,
            "title": source.title,
            "start_block_index": 0,
            "end_block_index": 1,
        }
        for source in marked.values()
    ]


def error_body(error: FiresideError, request_id: str | None = None) -> Json:
    """An error in Anthropic's shape; `code` says more exactly what it is."""
    kind = _ERRORS.get(error.status, "api_error" if error.status >= 500 else "invalid_request_error")
    body = {"type": kind, "message": error.message, "code": error.code}
    return {"type": "error", "error": body, "request_id": request_id}


def _event(name: str, **fields: Any) -> bytes:
    return server_sent(name, orjson.dumps({"type": name, **fields}))


def _stop_reason(finish_reason: str, *, called: bool) -> str:
    if called and finish_reason == "stop":  # servers end a call that was forced so
        return "tool_use"
    return _STOP_REASONS.get(finish_reason, "end_turn")


def _usage(usage: Usage) -> Json:
    return {
        "input_tokens": usage.prompt_tokens - usage.cached_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": usage.cached_tokens,
        "output_tokens": usage.completion_tokens,
    }


def _input(arguments: str) -> Json:
    try:
        return json_object(orjson.loads(arguments))
    except orjson.JSONDecodeError:  # the model did not finish it, or was cut off
        return {}
