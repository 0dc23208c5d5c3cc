"""Finding the usage in a reply that passes by as bytes, without taking it apart.

Only the beginning and the end are kept: servers tell usage at the end of a completion or in the last chunk of a stream,
and before the data of embeddings. Inside texts of the reply quotation marks are escaped, so nothing that a model says
can look like it. What comes is only laid aside until it is enough to look at, because a piece is often no more than a
word, and a thousand streams bring twenty thousand of them a second. llama-server tells `timings` where a stream was not
asked for usage.
"""

import json
import re
from typing import Any, cast

from fireside.contracts.answer import Usage

_EVENT = b"data:"
_EDGE_BYTES = len(_EVENT) - 1
_HEAD_BYTES = 1024
_TAIL_BYTES = 4096
_MOST_LAID_ASIDE_BYTES = 2 * _TAIL_BYTES
_ENDED = re.compile(rb'\[DONE\]|"finish_reason"\s*:\s*"')
_USAGE = re.compile(r'(?<!\\)"usage"\s*:\s*(?=\{)')
_TIMINGS = re.compile(r'(?<!\\)"timings"\s*:\s*(?=\{)')
_BYTES_PER_TOKEN = 3
_read_value = json.JSONDecoder().raw_decode


class ReplyReader:
    """Reads along."""

    __slots__ = ("_aside", "_aside_bytes", "_counted_bytes", "_counted_events", "_head")

    def __init__(self) -> None:
        self._aside: list[bytes] = []
        self._aside_bytes = self._counted_bytes = self._counted_events = 0
        self._head = b""

    def feed(self, data: bytes) -> None:
        """Note the next bytes of the reply."""
        self._aside.append(data)
        self._aside_bytes += len(data)
        if self._aside_bytes > _MOST_LAID_ASIDE_BYTES:
            self._keep_the_ends()

    @property
    def has_begun(self) -> bool:
        """Whether anything of the reply has come."""
        return bool(self._aside)

    @property
    def has_ended(self) -> bool:
        """Whether what has come is the end of a stream of completions."""
        return _ENDED.search(self._tail()) is not None

    @property
    def completion_tokens(self) -> int:
        """About how many tokens the reply has, where nobody says: one an event of a stream."""
        events = self._counted_events + b"".join(self._aside).count(_EVENT)
        return events or estimated_tokens(self._counted_bytes + self._aside_bytes)

    def usage(self) -> Usage | None:
        """What the server says it used."""
        for part in (self._tail(), self._head or b"".join(self._aside)[:_HEAD_BYTES]):
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

    def _tail(self) -> bytes:
        return b"".join(self._aside)[-_TAIL_BYTES:]

    def _keep_the_ends(self) -> None:
        known = b"".join(self._aside)
        gone = len(known) - _TAIL_BYTES
        self._head = self._head or known[:_HEAD_BYTES]
        self._counted_events += known.count(_EVENT, 0, gone + _EDGE_BYTES)  # all that begin in what goes
        self._counted_bytes += gone
        self._aside, self._aside_bytes = [known[gone:]], _TAIL_BYTES


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
