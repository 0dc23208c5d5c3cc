"""The items of a response's output: messages and calls of tools in the order in which they began. No I/O.

A citation is a `url_citation`: of the address of its source, or of its page here.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import orjson

from fireside.contracts.answer import Source
from fireside.services.gateway.completions import Completion, Said, ToolCall, marked_sources

Json = dict[str, Any]

NO_ARGUMENTS = "{}"

_CUT = {"length": "max_output_tokens", "content_filter": "content_filter"}


def cut_reason(answer: Completion) -> str | None:
    """Why an answer ended before it was whole; None for one that is."""
    return _CUT.get(answer.finish_reason)


def output_items(answer: Completion, response_id: UUID, *, broken: bool = False) -> list[Json]:
    """What was answered so far.

    Args:
        answer: So far.
        response_id: Of the response.
        broken: Whether no more will come, although it did not end.
    """
    cut = broken or cut_reason(answer) is not None
    items: list[Json] = []
    for index, item in enumerate(answer.items):
        unfinished = cut and (index == len(answer.items) - 1 or not is_whole(item))
        written = _message(item, answer.sources) if isinstance(item, Said) else _call(item, unfinished=unfinished)
        status = "incomplete" if unfinished else "completed"
        items.append({"id": item_id_of(item, response_id, index), "status": status, **written})
    return items


def item_id_of(item: Said | ToolCall, response_id: UUID, index: int) -> str:
    """The id of an item.

    Args:
        item: What it tells.
        response_id: Of the response that it belongs to.
        index: Its place in the output.
    """
    return f"{'fc' if isinstance(item, ToolCall) else 'msg'}_{response_id.hex}_{index}"


def is_whole(item: Said | ToolCall) -> bool:
    """Whether nothing more can come of an item once another one has begun."""
    if isinstance(item, Said):
        return True
    try:
        return isinstance(orjson.loads(item.arguments), dict)
    except orjson.JSONDecodeError:
        return False


def annotations(text: str, sources: Sequence[Source]) -> list[Json]:
    """Each `[n]` of the text as a citation of its source."""
    return [
        {"type": "url_citation", "url": source.url, "title": source.title, "start_index": start, "end_index": end}
        for start, end, source in marked_sources(text, sources)
    ]


def begun_part(said: Said) -> Json:
    """The part of a message before anything is in it."""
    return _part(Said(is_refusal=said.is_refusal), ())


def _message(said: Said, sources: Sequence[Source]) -> Json:
    return {"type": "message", "role": "assistant", "content": [_part(said, sources)]}


def _part(said: Said, sources: Sequence[Source]) -> Json:
    if said.is_refusal:
        return {"type": "refusal", "refusal": said.text}
    found = annotations(said.text, sources)
    return {"type": "output_text", "text": said.text, "annotations": found, "logprobs": said.logprobs}


def _call(call: ToolCall, *, unfinished: bool) -> Json:
    arguments = call.arguments if unfinished else call.arguments or NO_ARGUMENTS
    return {"type": "function_call", "call_id": call.id, "name": call.name, "arguments": arguments}
