"""OpenAI's shapes of responses: whole, and as events in the order of the real API. No I/O.

A citation is a `url_citation`: of the address of its source, or of its page here.
"""

import time
from collections.abc import Sequence
from typing import Any, ClassVar
from uuid import UUID

import orjson

from fireside.contracts.answer import Source
from fireside.core.errors import FiresideError
from fireside.core.ids import new_id
from fireside.runtime.streams import server_sent
from fireside.services.gateway.completions import (
    Completion,
    CompletionEvent,
    Ended,
    TextPiece,
    ToolCall,
    ToolCallPiece,
    marked_sources,
)
from fireside.services.gateway.responses_requests import ResponsesRequest

Json = dict[str, Any]


class ResponseWriter:
    """Writes one answer as a response.

    Attributes:
        id: Under which it is kept.
    """

    media_type: ClassVar[str] = "text/event-stream"

    def __init__(self, request: ResponsesRequest) -> None:
        self.id: UUID = new_id()
        self._request = request
        self._created_at = int(time.time())
        self._number = 0
        self._so_far = Completion()
        self._open = -1
        """Which item of the output is being written; -1 for none."""
        self._message_at = 0
        """The place of the text among the items: the first, unless tools were called before it."""

    def begin(self) -> bytes:
        """The response before anything is in it."""
        response = self._response([], "in_progress")
        return self._event("response.created", response=response) + self._event(
            "response.in_progress", response=response
        )

    def write(self, event: CompletionEvent) -> bytes:
        """The next events: an item is added when its first piece comes and done when the next one begins."""
        if isinstance(event, TextPiece) and not self._so_far.text:
            self._message_at = len(self._so_far.tool_calls)
        before = self._count()
        self._so_far.add(event)
        match event:
            case TextPiece():
                return self._begun(before) + self._text_event(
                    "response.output_text.delta", delta=event.text, logprobs=list(event.logprobs)
                )
            case ToolCallPiece():
                begun = self._begun(before)
                if not event.arguments:
                    return begun
                return begun + self._item_event("response.function_call_arguments.delta", delta=event.arguments)
            case Ended():
                return self._end()
            case _:
                return b""

    def failed(self, error: FiresideError) -> bytes:
        """The response with its error as the last event."""
        reason = {"code": "server_error", "message": error.message}
        return self._event("response.failed", response=self._response(self._output(), "failed") | {"error": reason})

    def whole(self, completion: Completion) -> Json:
        """The response in one piece."""
        cut = completion.finish_reason == "length"
        response = self._response(self._output(completion), "incomplete" if cut else "completed")
        usage = completion.usage
        counted = {
            "input_tokens": usage.prompt_tokens,
            "input_tokens_details": {"cached_tokens": usage.cached_tokens, "cache_write_tokens": 0},
            "output_tokens": usage.completion_tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": usage.total_tokens,
        }
        reason = {"reason": "max_output_tokens"} if cut else None
        return response | {"usage": counted, "incomplete_details": reason, "completed_at": int(time.time())}

    def _begun(self, before: int) -> bytes:
        """The events that begin the item being written, after those that end the one before it."""
        if self._count() == before:
            return b""
        ended = self._item_done()
        self._open += 1
        item = self._output()[self._open]
        if item["type"] == "function_call":
            return ended + self._added(item | {"arguments": "", "status": "in_progress"})
        part: Json = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
        added = self._added(item | {"content": [], "status": "in_progress"})
        return ended + added + self._text_event("response.content_part.added", part=part)

    def _item_done(self) -> bytes:
        if self._open < 0:
            return b""
        item = self._output()[self._open]
        if item["type"] == "function_call":
            done = self._item_event("response.function_call_arguments.done", **_subset(item, "name", "arguments"))
        else:
            [part] = item["content"]
            cited = [
                self._text_event("response.output_text.annotation.added", annotation_index=index, annotation=annotation)
                for index, annotation in enumerate(part["annotations"])
            ]
            told = self._text_event("response.output_text.done", **_subset(part, "text", "logprobs"))
            done = b"".join(cited) + told + self._text_event("response.content_part.done", part=part)
        return done + self._event("response.output_item.done", output_index=self._open, item=item)

    def _end(self) -> bytes:
        begun = b"" if self._open >= 0 else self._begun(0)
        response = self.whole(self._so_far)
        return begun + self._item_done() + self._event(f"response.{response['status']}", response=response)

    def _added(self, item: Json) -> bytes:
        return self._event("response.output_item.added", output_index=self._open, item=item)

    def _text_event(self, name: str, /, **fields: Any) -> bytes:
        return self._item_event(name, content_index=0, **fields)

    def _item_event(self, name: str, /, **fields: Any) -> bytes:
        return self._event(name, item_id=self._item_id(self._open), output_index=self._open, **fields)

    def _event(self, name: str, /, **fields: Any) -> bytes:
        event = {"type": name, "sequence_number": self._number, **fields}
        self._number += 1
        return server_sent(name, orjson.dumps(event))

    def _has_message(self, answer: Completion) -> bool:
        """Whether there is an item of text: when there is text, or nothing else at the end."""
        return bool(answer.text) or (answer.ended and not answer.tool_calls)

    def _count(self) -> int:
        return self._has_message(self._so_far) + len(self._so_far.tool_calls)

    def _item_id(self, index: int) -> str:
        is_message = self._has_message(self._so_far) and index == self._message_at
        return f"msg_{self.id.hex}" if is_message else f"fc_{self.id.hex}_{index}"

    def _output(self, completion: Completion | None = None) -> list[Json]:
        answer = completion or self._so_far
        items = [self._call(call) for call in answer.tool_calls]
        if self._has_message(answer):
            items.insert(self._message_at, self._message(answer))
        return [item | {"id": item.get("id") or f"fc_{self.id.hex}_{index}"} for index, item in enumerate(items)]

    def _message(self, completion: Completion) -> Json:
        text: Json = {
            "type": "output_text",
            "text": completion.text,
            "annotations": annotations(completion.text, completion.sources),
            "logprobs": completion.logprobs,
        }
        return {
            "id": f"msg_{self.id.hex}",
            "type": "message",
            "status": "completed",
            "role": "assistant",
            "content": [text],
        }

    def _call(self, call: ToolCall) -> Json:
        return {
            "type": "function_call",
            "status": "completed",
            "call_id": call.id,
            "name": call.name,
            "arguments": call.arguments,
        }

    def _response(self, output: list[Json], status: str) -> Json:
        request = self._request
        said = request.model_dump(
            mode="json",
            by_alias=True,
            include={
                "model",
                "instructions",
                "previous_response_id",
                "max_output_tokens",
                "temperature",
                "top_p",
                "tools",
                "tool_choice",
                "parallel_tool_calls",
            },
        )
        return said | {
            "id": f"resp_{self.id.hex}",
            "object": "response",
            "created_at": self._created_at,
            "status": status,
            "error": None,
            "incomplete_details": None,
            "output": output,
            "store": request.store is not False,
            "text": {"format": _format(request)},
            "reasoning": {"effort": request.reasoning.effort if request.reasoning else None, "summary": None},
            "truncation": "disabled",
            "metadata": request.metadata or {},
            "usage": None,
        }


def annotations(text: str, sources: Sequence[Source]) -> list[Json]:
    """Each `[n]` of the text as a citation of its source."""
    return [
        {"type": "url_citation", "url": source.url, "title": source.title, "start_index": start, "end_index": end}
        for start, end, source in marked_sources(text, sources)
    ]


def input_list(items: Sequence[Json]) -> Json:
    """A list of items."""
    first, last = (items[0]["id"], items[-1]["id"]) if items else ("", "")
    return {"object": "list", "data": list(items), "first_id": first, "last_id": last, "has_more": False}


def _format(request: ResponsesRequest) -> Json:
    wanted = request.text.format
    if wanted.type != "json_schema":
        return {"type": wanted.type}
    return {"type": wanted.type, "name": wanted.name, "schema": wanted.json_schema, "strict": bool(wanted.strict)}


def _subset(item: Json, *names: str) -> Json:
    return {name: item[name] for name in names}
