"""Chat completions of OpenAI's shape put into Anthropic's messages, and Anthropic's replies put back. Pure.

The reference is Anthropic's API documentation of `/v1/messages`, version 2023-06-01.
"""

import time
from collections.abc import Iterator
from typing import Any

import orjson

from fireside.core.errors import InvalidInputError
from fireside.core.openai_wire import json_object

Json = dict[str, Any]

_MOST_TOKENS = 4096
"""How long an answer may be when the request does not say; Anthropic wants a number."""
_FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
_CHOICE = {"auto": "auto", "required": "any", "none": "none"}
_NOT_OFFERED = ("logprobs", "top_logprobs", "logit_bias", "presence_penalty", "frequency_penalty")


def messages_request(body: Json) -> Json:
    """The request in Anthropic's shape.

    Raises:
        InvalidInputError: It asks for what Anthropic does not offer.
    """
    if (body.get("n") or 1) != 1:
        raise InvalidInputError("this model gives one answer at a time", param="n")
    for name in _NOT_OFFERED:
        if body.get(name):
            raise InvalidInputError(f"this model does not offer {name}", param=name)
    stop = body.get("stop")
    system, messages = _messages(body.get("messages") or [])
    request: Json = {
        "model": body.get("model"),
        "max_tokens": body.get("max_completion_tokens") or body.get("max_tokens") or _MOST_TOKENS,
        "messages": messages,
        "system": system or None,
        "temperature": None if body.get("temperature") is None else min(1.0, body["temperature"]),
        "top_p": body.get("top_p"),
        "stop_sequences": [stop] if isinstance(stop, str) else stop or None,
        "stream": body.get("stream") or None,
        "tools": [_tool(tool) for tool in body.get("tools") or ()] or None,
        "tool_choice": _tool_choice(body),
        "output_config": _output(json_object(body.get("response_format"))),
    }
    return {name: value for name, value in request.items() if value is not None}


def completion(message: Json) -> Json:
    """A whole reply in OpenAI's shape."""
    blocks = [json_object(block) for block in message.get("content") or ()]
    calls = [
        _call(number, block, orjson.dumps(block.get("input") or {}).decode())
        for number, block in enumerate(block for block in blocks if block.get("type") == "tool_use")
    ]
    text = "".join(str(block.get("text", "")) for block in blocks if block.get("type") == "text")
    spoken: Json = {"role": "assistant", "content": text or None}
    if calls:
        spoken["tool_calls"] = [{name: value for name, value in call.items() if name != "index"} for call in calls]
    choice = {"index": 0, "message": spoken, "logprobs": None, "finish_reason": _finish(message.get("stop_reason"))}
    head = _head("chat.completion", message)
    return head | {"choices": [choice], "usage": _usage(json_object(message.get("usage")))}


def error_body(body: Json) -> Json:
    """An error in OpenAI's shape."""
    error = json_object(body.get("error"))
    kind = str(error.get("type", "api_error"))
    return {"error": {"message": str(error.get("message", kind)), "type": kind, "param": None, "code": kind}}


class StreamTranslator:
    """Makes the chunks of a completion from the events of one reply."""

    def __init__(self, *, include_usage: bool) -> None:
        self._include_usage = include_usage
        self._head: Json = {}
        self._usage: Json = {}
        self._calls = -1
        self._arguments: Json | None = None  # of a call that has begun, until the first piece of them is sent

    def chunks(self, event: Json) -> Iterator[Json]:
        """The chunks that an event stands for; the end of the reply is one with a finish reason."""
        match event.get("type"):
            case "message_start":
                message = json_object(event.get("message"))
                self._head = _head("chat.completion.chunk", message)
                self._usage = json_object(message.get("usage"))
                yield self._chunk({"role": "assistant", "content": ""})
            case "content_block_start":
                yield from self._block(json_object(event.get("content_block")))
            case "content_block_delta":
                yield from self._delta(json_object(event.get("delta")))
            case "content_block_stop":
                yield from self._arguments_left()
            case "message_delta":
                self._usage |= json_object(event.get("usage"))
                yield self._chunk({}, finish=_finish(json_object(event.get("delta")).get("stop_reason")))
                if self._include_usage:
                    yield self._head | {"choices": [], "usage": _usage(self._usage)}
            case "error":
                yield error_body(event)
            case _:  # pings, and what is new there
                pass

    def _block(self, block: Json) -> Iterator[Json]:
        if block.get("type") == "tool_use":
            self._calls += 1
            self._arguments = json_object(block.get("input"))
            yield self._chunk({"tool_calls": [_call(self._calls, block, "")]})

    def _arguments_left(self) -> Iterator[Json]:
        """The arguments of a call of which no piece came: an empty object, where it has none."""
        if self._arguments is not None:
            yield self._arguments_chunk(orjson.dumps(self._arguments).decode())

    def _delta(self, delta: Json) -> Iterator[Json]:
        if delta.get("type") == "text_delta":
            yield self._chunk({"content": delta.get("text", "")})
        elif delta.get("type") == "input_json_delta" and delta.get("partial_json"):
            yield self._arguments_chunk(str(delta["partial_json"]))

    def _arguments_chunk(self, arguments: str) -> Json:
        self._arguments = None
        return self._chunk({"tool_calls": [{"index": self._calls, "function": {"arguments": arguments}}]})

    def _chunk(self, delta: Json, *, finish: str | None = None) -> Json:
        return self._head | {"choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]}


def _messages(given: list[Json]) -> tuple[str, list[Json]]:
    """The system's words, and the turns, which alternate: neighbours of one role become one turn."""
    system: list[str] = []
    turns: list[Json] = []
    for message in given:
        role = message.get("role")
        if role in {"system", "developer"}:
            system.append(_text(message.get("content")))
            continue
        blocks = _blocks(message)
        speaker = "assistant" if role == "assistant" else "user"
        if turns and turns[-1]["role"] == speaker:
            turns[-1]["content"] += blocks
        elif blocks:
            turns.append({"role": speaker, "content": blocks})
    return "\n\n".join(system), turns


def _blocks(message: Json) -> list[Json]:
    if message.get("role") == "tool":
        result = {"type": "tool_result", "tool_use_id": message.get("tool_call_id"), "content": _parts(message)}
        return [result]
    calls = [_tool_use(json_object(call)) for call in message.get("tool_calls") or ()]
    return [*_parts(message), *calls]


def _parts(message: Json) -> list[Json]:
    content = message.get("content")
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content or []
    return [_part(json_object(part)) for part in parts if part.get("type") != "text" or part.get("text")]


def _part(part: Json) -> Json:
    if part.get("type") == "text":
        return {"type": "text", "text": part.get("text")}
    if part.get("type") != "image_url":
        raise InvalidInputError(f"this model does not read parts of the type {part.get('type')!r}", param="messages")
    url = str(json_object(part.get("image_url")).get("url", ""))
    if not url.startswith("data:"):
        return {"type": "image", "source": {"type": "url", "url": url}}
    media_type, _, data = url.removeprefix("data:").partition(";base64,")
    return {"type": "image", "source": {"type": "base64", "media_type": media_type, "data": data}}


def _tool_use(call: Json) -> Json:
    function = json_object(call.get("function"))
    try:
        arguments = orjson.loads(function.get("arguments") or "{}")
    except orjson.JSONDecodeError as error:
        raise InvalidInputError(f"the arguments of a tool call are not JSON: {error}", param="messages") from error
    return {"type": "tool_use", "id": call.get("id"), "name": function.get("name"), "input": arguments}


def _text(content: Any) -> str:
    return content if isinstance(content, str) else "\n".join(str(part.get("text", "")) for part in content or ())


def _tool(tool: Json) -> Json:
    function = json_object(tool.get("function"))
    schema: Json = function.get("parameters") or {"type": "object", "properties": {}}
    made: Json = {"name": function.get("name"), "description": function.get("description"), "input_schema": schema}
    return {name: value for name, value in made.items() if value is not None}


def _tool_choice(body: Json) -> Json | None:
    wanted = body.get("tool_choice")
    if not body.get("tools"):
        return None
    choice: Json = {"type": _CHOICE.get(wanted or "auto", "auto") if isinstance(wanted, str | None) else "tool"}
    if choice["type"] == "tool":
        choice["name"] = json_object(json_object(wanted).get("function")).get("name")
    if body.get("parallel_tool_calls") is False and choice["type"] != "none":
        choice["disable_parallel_tool_use"] = True
    return choice


def _output(wanted: Json) -> Json | None:
    if wanted.get("type") != "json_schema":
        return None
    schema = json_object(wanted.get("json_schema")).get("schema")
    return {"format": {"type": "json_schema", "schema": schema or {"type": "object"}}}


def _call(number: int, block: Json, arguments: str) -> Json:
    function = {"name": block.get("name"), "arguments": arguments}
    return {"index": number, "id": block.get("id"), "type": "function", "function": function}


def _finish(stop_reason: Any) -> str:
    return _FINISH.get(str(stop_reason), "stop")


def _head(kind: str, message: Json) -> Json:
    return {
        "id": f"chatcmpl-{message.get('id', '')}",
        "object": kind,
        "created": int(time.time()),
        "model": message.get("model", ""),
    }


def _usage(usage: Json) -> Json:
    cached = int(usage.get("cache_read_input_tokens") or 0)
    prompt = int(usage.get("input_tokens") or 0) + int(usage.get("cache_creation_input_tokens") or 0) + cached
    completed = int(usage.get("output_tokens") or 0)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completed,
        "total_tokens": prompt + completed,
        "prompt_tokens_details": {"cached_tokens": cached},
    }
