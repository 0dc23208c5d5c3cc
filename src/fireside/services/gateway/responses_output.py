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


def output_items(answer: Completion, response_id: UUID) -> list[Json]:
    """What was answered so far."""
    return [_item(item, answer, item_id_of(item, response_id, n)) for n, item in enumerate(answer.items)]


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


def _item(item: Said | ToolCall, answer: Completion, item_id: str) -> Json:
    if isinstance(item, ToolCall):
        called = {"call_id": item.id, "name": item.name, "arguments": item.arguments or NO_ARGUMENTS}
        return {"id": item_id, "type": "function_call", "status": "completed", **called}
    part: Json = {
        "type": "output_text",
        "text": item.text,
        "annotations": annotations(item.text, answer.sources),
        "logprobs": item.logprobs,
    }
    return {"id": item_id, "type": "message", "status": "completed", "role": "assistant", "content": [part]}
