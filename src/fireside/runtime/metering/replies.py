"""Finding the usage in a reply that passes by as bytes, without taking it apart.

Only the beginning and the end are kept: servers tell usage at the end of a completion or in the last chunk of a stream,
and before the data of embeddings. Inside texts of the reply quotation marks are escaped, so nothing that a model says
can look like it. llama-server tells `timings` where a stream was not asked for usage.
"""

import json
import re
from collections import deque
from typing import Any, cast

from fireside.contracts.answer import Usage

_EVENT = b"data:"
_EDGE_BYTES = len(_EVENT) - 1
_HEAD_BYTES = 1024
_TAIL_BYTES = 4096
_USAGE = re.compile(r'(?<!\\)"usage"\s*:\s*(?=\{)')
_TIMINGS = re.compile(r'(?<!\\)"timings"\s*:\s*(?=\{)')
_BYTES_PER_TOKEN = 3
_read_value = json.JSONDecoder().raw_decode


class ReplyReader:
    """Reads along."""

    def __init__(self) -> None:
        self._head, self._edge = b"", b""
        self._tail, self._tail_bytes = deque[bytes](), 0
        self._events = self._bytes = 0

    def feed(self, data: bytes) -> None:
        """Note the next bytes of the reply."""
        if self._bytes < _HEAD_BYTES:
            self._head += data[:_HEAD_BYTES]
        self._bytes += len(data)
        self._events += (self._edge + data).count(_EVENT)  # the network cuts anywhere
        self._edge = data[-_EDGE_BYTES:] if len(data) >= _EDGE_BYTES else (self._edge + data)[-_EDGE_BYTES:]
        self._tail.append(data)
        self._tail_bytes += len(data)
        while self._tail_bytes - len(self._tail[0]) >= _TAIL_BYTES:
            self._tail_bytes -= len(self._tail.popleft())

    @property
    def completion_tokens(self) -> int:
        """About how many tokens the reply has, where nobody says: one an event of a stream."""
        return self._events or estimated_tokens(self._bytes)

    def usage(self) -> Usage | None:
        """What the server says it used."""
        for part in (b"".join(self._tail)[-_TAIL_BYTES:], self._head):
            text = part.decode(errors="replace")
            found = _last_object('"usage"', _USAGE, text)
            if found is not None:
                details = _object(found.get("prompt_tokens_details"))
                return _usage(found, ("prompt_tokens", "completion_tokens"), cached=details.get("cached_tokens"))
            found = _last_object('"timings"', _TIMINGS, text)
            if found is not None:
                cached = _count(found.get("cache_n"))
                timed = {"prompt_n": _count(found.get("prompt_n")) + cached, "predicted_n": found.get("predicted_n")}
                return _usage(timed, ("prompt_n", "predicted_n"), cached=cached)
        return None


def estimated_tokens(size_bytes: int) -> int:
    """About how many tokens a text has: rather too many than too few."""
    return -(-size_bytes // _BYTES_PER_TOKEN)


def _last_object(name: str, mark: re.Pattern[str], text: str) -> dict[str, Any] | None:
    """The last whole JSON object that follows a mark, which begins with a name."""
    place = text.rfind(name)
    while place >= 0:
        match = mark.match(text, place)
        if match is not None:
            try:
                return _object(_read_value(text, match.end())[0])
            except json.JSONDecodeError:
                pass
        place = text.rfind(name, 0, place)
    return None


def _usage(found: dict[str, Any], names: tuple[str, str], *, cached: Any) -> Usage:
    prompt, completion = (_count(found.get(name)) for name in names)
    return Usage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        total_tokens=prompt + completion,
        cached_tokens=min(prompt, _count(cached)),
    )


def _object(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _count(value: Any) -> int:
    return max(0, int(value)) if isinstance(value, int | float) else 0
