"""What readers of OpenAI's chat completions share: how chunks are cut out of bytes, what a refusal means. Pure.

The wire format is OpenAI's chat completions API with server-sent events, as llama-server, vLLM and Ollama speak it too.
"""

import re
from collections.abc import Sequence
from typing import Any, cast

import orjson

from fireside.core.errors import (
    ContextOverflowError,
    FiresideError,
    InvalidInputError,
    KeyRefusedError,
    ModelGoneError,
    TooManyRequestsError,
    UnavailableError,
    UpstreamError,
)

_DONE = b"[DONE]"
_LONGEST_REASON_CHARS = 300
_TOO_LONG = re.compile(r"context_length_exceeded|context (size|length|window)|prompt is too long|maximum context", re.I)


class DataCutter:
    """Cuts the data of server-sent events, each in one line, out of a byte stream, wherever the network cut it."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """The data that these bytes complete, in order."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        found = [line[5:].strip() for line in lines if line.startswith(b"data:")]
        return [item for item in found if item]


class ChunkCutter:
    """Cuts the chunks of a completion out of a byte stream."""

    def __init__(self) -> None:
        self._cutter = DataCutter()

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """The chunks that these bytes complete, in order.

        Raises:
            UpstreamError: One is not JSON, or is an error.
        """
        return [_chunk(item) for item in self._cutter.feed(data) if item != _DONE]


def json_object(value: Any) -> dict[str, Any]:
    """The value when it is an object, else an empty one."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def tokens_of_prompts(told: Sequence[int], *, answers: int) -> int:
    """How long the prompts of a request are together, where each answer tells of its own prompt.

    Args:
        told: By each answer that has ended, at least one.
        answers: To each prompt, which share it.
    """
    return max(*told, round(sum(told) / max(1, answers)), 0)


def first_choice(body: dict[str, Any]) -> dict[str, Any]:
    """The first choice of a completion or a chunk; empty when it has none."""
    choices: list[Any] = body.get("choices") or [{}]
    return json_object(choices[0])


def text_and_thought(content: Any) -> tuple[str, str]:
    """What a content says, and what its model thought before: some servers send both as a list of parts."""
    if not isinstance(content, list):
        return str(content or ""), ""
    text, thought = "", ""
    for part in map(json_object, cast("list[Any]", content)):
        text += str(part.get("text") or "")
        thought += "".join(text_and_thought(part.get("thinking")))
    return text, thought


def refusal(status: int, body: bytes, *, retry_after: str | None = None) -> FiresideError:
    """What a reply with an error's status means.

    Args:
        status: Of the reply.
        body: Its content.
        retry_after: The header of that name.
    """
    try:
        parsed = orjson.loads(body)
        text, code = _error_text(parsed), str(json_object(json_object(parsed).get("error")).get("code"))
    except orjson.JSONDecodeError:
        text, code = f"status {status}", ""
    if status == 429:
        wait_s = int(retry_after) if retry_after and retry_after.isdigit() else 1
        return TooManyRequestsError(f"the model's server is busy: {text}", retry_after_s=wait_s)
    if status == 503:
        return UnavailableError(f"the model's server is not ready: {text}")
    if status in {400, 413} and _TOO_LONG.search(text + code):
        return ContextOverflowError(f"the model's server refuses the request: {text}")
    if status in {401, 403}:  # without the server's words: some repeat the key
        return KeyRefusedError(f"the model's server refuses the key ({status})", upstream_status=status)
    if status == 404:
        return ModelGoneError(f"the model's server refuses the request: {text}")
    if status in {400, 413, 422}:
        return InvalidInputError(f"the model's server refuses the request: {text}")
    return UpstreamError(f"the model's server failed: {text}", upstream_status=status)


def _chunk(data: bytes) -> dict[str, Any]:
    try:
        chunk = json_object(orjson.loads(data))
    except orjson.JSONDecodeError as error:
        raise UpstreamError("the model's server sent something that is not JSON") from error
    if chunk.get("error"):
        raise UpstreamError(_error_text(chunk))
    return chunk


def _error_text(body: Any) -> str:
    error: Any = json_object(body).get("error", body)
    return str(json_object(error).get("message", error))[:_LONGEST_REASON_CHARS]
