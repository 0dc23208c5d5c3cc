"""Finding the usage in a reply that passes by as bytes, without taking it apart.

Only the beginning and the end are kept: servers tell usage at the end of a completion or in the last chunk of a stream,
and before the data of embeddings. Inside texts of the reply quotation marks are escaped, so nothing that a model says
can look like it. llama.cpp tells `timings`, with usage or without, at the end of each choice of a stream, and of that
choice alone: these are added up. What comes is only laid aside until it is enough to look at, because a piece is often
no more than a word, and a thousand streams bring twenty thousand of them a second.
"""

import json
import re
from collections.abc import Callable
from typing import Any, cast

from fireside.contracts.answer import Usage
from fireside.core.openai_wire import tokens_of_prompts

_EVENT = b"data:"
_OF_CHOICE = b'"finish_reason":'
_EDGE_BYTES = len(_EVENT) - 1
_HEAD_BYTES = 1024
_TAIL_BYTES = 4096
_MOST_LAID_ASIDE_BYTES = 2 * _TAIL_BYTES
_DONE = b"[DONE]"
_ENDED = re.compile(rb'\[DONE\]|"finish_reason"\s*:\s*"')
_CHOICE_ENDED = re.compile(r'"finish_reason"\s*:\s*"|"usage"\s*:\s*\{')
_EVENTS_WITHOUT_TEXT = 3
"""Of a choice that has ended: who speaks, why it ended, what it used."""
_USAGE = re.compile(r'(?<!\\)"usage"\s*:\s*(?=\{)')
_TIMINGS = re.compile(r'(?<!\\)"timings"\s*:\s*(?=\{)')
BYTES_PER_TOKEN = 3
"""What a text is estimated by: rather too few."""
MOST_TOKENS = 10**9
"""What a call can have used of any kind; a server that tells more is wrong, and sums of it would not fit."""
_read_value = json.JSONDecoder().raw_decode


def _one() -> int:
    return 1


class ReplyReader:
    """Reads along."""

    __slots__ = ("_aside", "_aside_bytes", "_counted_bytes", "_counted_events", "_head", "_told")

    def __init__(self) -> None:
        self._aside: list[bytes] = []
        self._told: list[Usage] = []
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
        """About how many tokens the reply has, where nobody says: one for each choice of an event of a stream."""
        known = b"".join(self._aside)
        is_one_piece = (self._head or known).lstrip().startswith((b"{", b"["))
        events = 0 if is_one_piece else self._counted_events + _count_pieces(known)
        return events or estimated_tokens(self._counted_bytes + self._aside_bytes)

    def usage(self, answers_to_each: Callable[[], int] = _one) -> Usage | None:
        """What the server says it used; `answers_to_each` prompt is asked only where several choices tell."""
        told = [*self._told, *_told_by_choices(b"".join(self._aside))]
        if told:
            return self._of_all(told, answers_to_each() if len(told) > 1 else 1)
        for part in (self._tail(), self._head or b"".join(self._aside)[:_HEAD_BYTES]):
            if (found := _told_in(part.decode(errors="replace"))) is not None:
                return found
        return None

    def _of_all(self, told: list[Usage], answers: int) -> Usage:
        """What all choices used: those that were left before their end said as much as came of them."""
        prompt = tokens_of_prompts([one.prompt_tokens for one in told], answers=answers)
        completion = sum(one.completion_tokens for one in told)
        if _DONE not in self._tail():
            completion = max(completion, self.completion_tokens - _EVENTS_WITHOUT_TEXT * len(told))
        return Usage(
            prompt_tokens=prompt,
            completion_tokens=completion,
            total_tokens=prompt + completion,
            cached_tokens=min(prompt, tokens_of_prompts([one.cached_tokens for one in told], answers=answers)),
        )

    def _tail(self) -> bytes:
        return b"".join(self._aside)[-_TAIL_BYTES:]

    def _keep_the_ends(self) -> None:
        known = b"".join(self._aside)
        gone = len(known) - _TAIL_BYTES
        begin = known.rfind(_EVENT, 0, gone)
        gone = begin if begin > 0 else gone  # between two events, so that none is looked at in halves
        self._head = self._head or known[:_HEAD_BYTES]
        self._counted_events += _count_pieces(known[: gone + _EDGE_BYTES])  # all that begin in what goes
        self._counted_bytes += gone
        self._told += _told_by_choices(known[:gone])
        self._aside, self._aside_bytes = [known[gone:]], len(known) - gone


def _count_pieces(part: bytes) -> int:
    """How many pieces of answers begin in a part of a stream: events, or what they say of each of several choices."""
    events = part.count(_EVENT)
    return max(events, part.count(_OF_CHOICE)) if events else 0


def bounded(usage: Usage) -> Usage:
    """Usage that can be counted, whatever a server told."""
    if usage.total_tokens <= MOST_TOKENS and usage.prompt_tokens + usage.completion_tokens <= MOST_TOKENS:
        return usage
    prompt, completion = min(usage.prompt_tokens, MOST_TOKENS), min(usage.completion_tokens, MOST_TOKENS)
    return Usage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        total_tokens=prompt + completion,
        cached_tokens=min(usage.cached_tokens, prompt),
    )


def estimated_tokens(size_bytes: int) -> int:
    """About how many tokens a text has: rather too many than too few."""
    return -(-size_bytes // BYTES_PER_TOKEN)


def _told_by_choices(part: bytes) -> list[Usage]:
    """What llama.cpp says at the end of each choice."""
    if b'"timings"' not in part:
        return []
    events = (event.decode(errors="replace") for event in part.split(b"\n") if event.startswith(_EVENT))
    ends = [event for event in events if _TIMINGS.search(event) and _CHOICE_ENDED.search(event)]
    return [told for event in ends if (told := _told_in(event)) is not None]


def _told_in(text: str) -> Usage | None:
    """What a part of a reply says; nothing where it says that nothing was used, as servers do that do not count."""
    found = _last_object('"usage"', _USAGE, text) or {}
    details = _object(found.get("prompt_tokens_details"))
    told = _usage(found, ("prompt_tokens", "completion_tokens"), cached=details.get("cached_tokens"))
    if told.total_tokens:
        return told
    found = _last_object('"timings"', _TIMINGS, text)
    if found is not None:
        cached = _count(found.get("cache_n"))
        timed = {"prompt_n": _count(found.get("prompt_n")) + cached, "predicted_n": found.get("predicted_n")}
        told = _usage(timed, ("prompt_n", "predicted_n"), cached=cached)
    return told if told.total_tokens else None


def _last_object(name: str, mark: re.Pattern[str], text: str) -> dict[str, Any] | None:
    """The last whole JSON object that follows a mark, which begins with a name."""
    place = text.rfind(name)
    while place >= 0:
        match = mark.match(text, place)
        if match is not None:
            try:
                return _object(_read_value(text, match.end())[0])
            except (ValueError, RecursionError):  # cut off, or numbers and nesting beyond what can be read
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
    """A number of tokens as a server tells it; never more than can be counted, and 0 for what is no number, as NaN."""
    return int(min(max(0, value), MOST_TOKENS)) if isinstance(value, int | float) else 0
