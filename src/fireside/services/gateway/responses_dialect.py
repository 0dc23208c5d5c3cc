"""OpenAI's shapes of responses: whole, and as events in the order of the real API. No I/O."""

import time
from collections.abc import Sequence
from typing import Any, ClassVar
from uuid import UUID

import orjson

from fireside.core.errors import FiresideError, InvalidInputError
from fireside.core.ids import new_id
from fireside.runtime.streams import server_sent
from fireside.services.gateway.completions import (
    Completion,
    CompletionEvent,
    Ended,
    Said,
    TextPiece,
    ToolCallPiece,
)
from fireside.services.gateway.responses_output import (
    NO_ARGUMENTS,
    begun_part,
    cut_reason,
    is_whole,
    item_id_of,
    output_items,
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
        self._open: list[int] = []
        """Which items of the output have begun and are not done."""

    def begin(self) -> bytes:
        """The response before anything is in it."""
        response = self._response([], "in_progress")
        return self._event("response.created", response=response) + self._event(
            "response.in_progress", response=response
        )

    def write(self, event: CompletionEvent) -> bytes:
        """The next events: an item is added when its first piece comes and done when the next one begins.

        A call whose arguments are no JSON yet is done later: some servers write several calls at once.
        """
        before = len(self._so_far.items)
        self._so_far.add(event)
        begun = b"".join(self._begun(index) for index in range(before, len(self._so_far.items)))
        match event:
            case TextPiece():
                return begun + self._text_delta(event)
            case ToolCallPiece() if event.arguments:
                return begun + self._arguments(self._so_far.place_of_call(event.index), event.arguments)
            case Ended():
                return begun + self._end()
            case _:
                return begun

    def failed(self, error: FiresideError) -> bytes:
        """The response with its error as the last event."""
        reason = {"code": "server_error", "message": error.message}
        output = output_items(self._so_far, self.id, broken=True)
        return self._event("response.failed", response=self._response(output, "failed") | {"error": reason})

    def whole(self, completion: Completion) -> Json:
        """The response in one piece."""
        cut = cut_reason(completion)
        response = self._response(output_items(completion, self.id), "incomplete" if cut else "completed")
        usage = completion.usage
        counted = {
            "input_tokens": usage.prompt_tokens,
            "input_tokens_details": {"cached_tokens": usage.cached_tokens, "cache_write_tokens": 0},
            "output_tokens": usage.completion_tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": usage.total_tokens,
        }
        reason = {"reason": cut} if cut else None
        return response | {"usage": counted, "incomplete_details": reason, "completed_at": int(time.time())}

    def _begun(self, index: int) -> bytes:
        """The events that begin an item, after those that end the ones before it."""
        ended = self._close(every=False)
        self._open.append(index)
        said, item = self._so_far.items[index], self._output()[index]
        if not isinstance(said, Said):
            return ended + self._added(index, item | {"arguments": "", "status": "in_progress"})
        added = self._added(index, item | {"content": [], "status": "in_progress"})
        return ended + added + self._text_event("response.content_part.added", index, part=begun_part(said))

    def _close(self, *, every: bool) -> bytes:
        """The events that end the open items, or only those of them that are whole."""
        done = [index for index in self._open if every or is_whole(self._so_far.items[index])]
        self._open = [index for index in self._open if index not in done]
        return b"".join(self._item_done(index, self._output()[index]) for index in done)

    def _item_done(self, index: int, item: Json) -> bytes:
        done = self._call_done(index, item) if item["type"] == "function_call" else self._text_done(index, item)
        return done + self._event("response.output_item.done", output_index=index, item=item)

    def _call_done(self, index: int, item: Json) -> bytes:
        told = is_whole(self._so_far.items[index]) or item["arguments"] != NO_ARGUMENTS
        added = b"" if told else self._arguments(index, NO_ARGUMENTS)
        fields = _subset(item, "name", "arguments")
        return added + self._item_event("response.function_call_arguments.done", index, **fields)

    def _text_done(self, index: int, item: Json) -> bytes:
        [part] = item["content"]
        if part["type"] == "refusal":
            told = self._text_event("response.refusal.done", index, refusal=part["refusal"])
        else:
            told = self._cited(index, part["annotations"])
            told += self._text_event("response.output_text.done", index, **_subset(part, "text", "logprobs"))
        return told + self._text_event("response.content_part.done", index, part=part)

    def _cited(self, index: int, annotations: list[Json]) -> bytes:
        name = "response.output_text.annotation.added"
        return b"".join(
            self._text_event(name, index, annotation_index=number, annotation=annotation)
            for number, annotation in enumerate(annotations)
        )

    def _end(self) -> bytes:
        response = self.whole(self._so_far)
        return self._close(every=True) + self._event(f"response.{response['status']}", response=response)

    def _added(self, index: int, item: Json) -> bytes:
        return self._event("response.output_item.added", output_index=index, item=item)

    def _text_delta(self, piece: TextPiece) -> bytes:
        index = len(self._so_far.items) - 1
        if piece.is_refusal:
            return self._text_event("response.refusal.delta", index, delta=piece.text)
        return self._text_event("response.output_text.delta", index, delta=piece.text, logprobs=list(piece.logprobs))

    def _arguments(self, index: int, delta: str) -> bytes:
        return self._item_event("response.function_call_arguments.delta", index, delta=delta)

    def _text_event(self, name: str, index: int, /, **fields: Any) -> bytes:
        return self._item_event(name, index, content_index=0, **fields)

    def _item_event(self, name: str, index: int, /, **fields: Any) -> bytes:
        item_id = item_id_of(self._so_far.items[index], self.id, index)
        return self._event(name, item_id=item_id, output_index=index, **fields)

    def _event(self, name: str, /, **fields: Any) -> bytes:
        event = {"type": name, "sequence_number": self._number, **fields}
        self._number += 1
        return server_sent(name, orjson.dumps(event))

    def _output(self) -> list[Json]:
        return output_items(self._so_far, self.id)

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
            "parallel_tool_calls": request.parallel_tool_calls is not False,
            "service_tier": "flex" if request.is_flexible else "default",
            "store": request.store is not False,
            "text": {"format": _format(request)},
            "reasoning": {"effort": request.reasoning.effort if request.reasoning else None, "summary": None},
            "truncation": "disabled",
            "metadata": request.metadata or {},
            "usage": None,
        }


def input_page(items: Sequence[Json], *, limit: int, after: str | None) -> Json:
    """A page of a list of items.

    Args:
        items: All of them, in the order that is wanted.
        limit: Most on the page.
        after: The id of the item before the page; None for the first page.

    Raises:
        InvalidInputError: No item has this id.
    """
    ids = [item["id"] for item in items]
    if after is not None and after not in ids:
        raise InvalidInputError(f"there is no item {after!r}", param="after")
    begin = 0 if after is None else ids.index(after) + 1
    page = list(items[begin : begin + limit])
    first, last = (page[0]["id"], page[-1]["id"]) if page else ("", "")
    more = begin + limit < len(items)
    return {"object": "list", "data": page, "first_id": first, "last_id": last, "has_more": more}


def _format(request: ResponsesRequest) -> Json:
    wanted = request.text.format
    if wanted.type != "json_schema":
        return {"type": wanted.type}
    return {"type": wanted.type, "name": wanted.name, "schema": wanted.json_schema, "strict": bool(wanted.strict)}


def _subset(item: Json, *names: str) -> Json:
    return {name: item[name] for name in names}
