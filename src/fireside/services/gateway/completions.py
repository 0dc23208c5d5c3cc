"""An answer on its way to a client of any dialect: pieces, then exactly one end. No I/O, but for a clock.

Dialects read their requests into a chat completion request of OpenAI's shape, which servers of models take, and write
these pieces in their own; who answered, a plain model or the whole pipeline, makes no difference to them.
"""

import re
import time
from collections.abc import AsyncIterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from fireside.contracts.answer import Source, Usage
from fireside.contracts.inference import ChatPriority
from fireside.core.errors import UpstreamError
from fireside.core.openai_wire import ChunkCutter, first_choice, json_object, text_and_thought

CHAT_COMPLETIONS = "/v1/chat/completions"
COMPLETIONS = "/v1/completions"

_MARK = re.compile(r"\[(\d+)\]")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a client wants: `body` is a request of OpenAI's shape without `stream`, and `path` says which.

    `priority`: `background` for what nobody waits for.
    """

    model: str
    body: dict[str, Any]
    stream: bool
    path: str = CHAT_COMPLETIONS
    priority: ChatPriority = "interactive"


@dataclass(frozen=True, slots=True)
class TextPiece:
    """The next piece of text; log probabilities, one a token, when they were asked for.

    `is_refusal`: the model says in it that it will not answer; most dialects have no other place for that than text.
    """

    text: str
    logprobs: tuple[dict[str, Any], ...] = ()
    is_refusal: bool = False


@dataclass(frozen=True, slots=True)
class ReasoningPiece:
    """The next piece of what a model thinks before it answers."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolCallPiece:
    """The next piece of a tool call; `id` and `name` come with the first piece of each `index`."""

    index: int
    id: str = ""
    name: str = ""
    arguments: str = ""


@dataclass(frozen=True, slots=True)
class Ended:
    """The answer is whole. `finish_reason` is OpenAI's; `text` replaces the pieces where it is given.

    Each source has a URL.
    """

    finish_reason: str
    usage: Usage = field(default_factory=Usage)
    sources: tuple[Source, ...] = ()
    text: str | None = None


CompletionEvent = TextPiece | ReasoningPiece | ToolCallPiece | Ended


@dataclass(slots=True)
class ToolCall:
    """A tool that the model wants called; `arguments` is JSON as the model wrote it."""

    id: str
    name: str
    arguments: str = ""


@dataclass(slots=True)
class Said:
    """Text with no tool call in it, either an answer or a refusal."""

    text: str = ""
    logprobs: list[dict[str, Any]] = field(default_factory=lambda: list[dict[str, Any]]())
    is_refusal: bool = False


@dataclass(slots=True)
class Completion:
    """An answer in one piece.

    Attributes:
        items: Texts and calls in the order in which they began; at the end one at least.
        first_ns: When its first event came, by `time.perf_counter_ns`.
    """

    text: str = ""
    reasoning: str = ""
    tool_calls: list[ToolCall] = field(default_factory=lambda: list[ToolCall]())
    items: list[Said | ToolCall] = field(default_factory=lambda: list[Said | ToolCall]())
    logprobs: list[dict[str, Any]] = field(default_factory=lambda: list[dict[str, Any]]())
    finish_reason: str = "stop"
    usage: Usage = field(default_factory=Usage)
    sources: tuple[Source, ...] = ()
    ended: bool = False
    first_ns: int = 0

    def add(self, event: CompletionEvent) -> None:
        """Take the next event in."""
        self.first_ns = self.first_ns or time.perf_counter_ns()
        match event:
            case TextPiece():
                self._add_text(event)
            case ReasoningPiece():
                self.reasoning += event.text
            case ToolCallPiece():
                self._add_call(event)
            case Ended():
                self._end(event)

    def place_of_call(self, index: int) -> int:
        """Where among the items the call of this index is."""
        return next(place for place, item in enumerate(self.items) if item is self.tool_calls[index])

    def _add_text(self, piece: TextPiece) -> None:
        self.text += piece.text
        self.logprobs.extend(piece.logprobs)
        last = self.items[-1] if self.items else None
        if not isinstance(last, Said) or last.is_refusal != piece.is_refusal:
            last = Said(is_refusal=piece.is_refusal)
            self.items.append(last)
        last.text += piece.text
        last.logprobs.extend(piece.logprobs)

    def _end(self, end: Ended) -> None:
        if end.text is not None:
            self.text, self.items = end.text, [Said(end.text, self.logprobs), *self.tool_calls]
        self.items = self.items or [Said()]
        self.finish_reason, self.usage, self.sources = end.finish_reason, end.usage, end.sources
        self.ended = True

    def _add_call(self, piece: ToolCallPiece) -> None:
        while len(self.tool_calls) <= piece.index:
            self.tool_calls.append(ToolCall("", ""))
            self.items.append(self.tool_calls[-1])
        call = self.tool_calls[piece.index]
        call.id, call.name = call.id or piece.id, call.name or piece.name
        call.arguments += piece.arguments


def marked_sources(text: str, sources: Sequence[Source]) -> list[tuple[int, int, Source]]:
    """Each mark such as `[1]` in the text: where it begins and ends, and the source it points at; in their order."""
    by_number = {str(source.n): source for source in sources}
    marks = [(mark.start(), mark.end(), by_number.get(mark[1])) for mark in _MARK.finditer(text)]
    return [(start, end, source) for start, end, source in marks if source is not None]


def located(source: Source, site: str) -> Source:
    """A source with an address: its own, or its page at this site."""
    if source.url:
        return source
    return source.model_copy(update={"url": f"{site}/documents/{source.document_id}?chunk={source.chunk_id}"})


async def gathered(events: AsyncIterable[CompletionEvent]) -> Completion:
    """The answer in one piece."""
    completion = Completion()
    async for event in events:
        completion.add(event)
    return completion


class ChunkReader:
    """Reads the stream of a completion as a model's server sends it, of a chat or a plain prompt; the first choice."""

    def __init__(self) -> None:
        self._cutter = ChunkCutter()
        self._finish_reason = ""
        self._usage = Usage()
        self._calls: dict[int, int] = {}
        self._ids: list[str] = []

    def feed(self, data: bytes) -> Iterator[CompletionEvent]:
        """The pieces that these bytes complete.

        Raises:
            UpstreamError: The server sent an error, or something that is no chunk.
        """
        for chunk in self._cutter.feed(data):
            choice = first_choice(chunk)
            delta = json_object(choice.get("delta"))
            text, thought = text_and_thought(delta.get("content") or choice.get("text"))
            reasoning = thought or delta.get("reasoning_content") or delta.get("reasoning")
            if isinstance(reasoning, str):
                yield ReasoningPiece(reasoning)
            if text:
                yield TextPiece(text, tuple(json_object(choice.get("logprobs")).get("content") or ()))
            if refusal := delta.get("refusal"):
                yield TextPiece(str(refusal), is_refusal=True)
            for call in delta.get("tool_calls") or ():
                yield self._tool_call(json_object(call))
            self._finish_reason = choice.get("finish_reason") or self._finish_reason
            self._usage = usage_of(chunk) if chunk.get("usage") else self._usage

    def end(self) -> Ended:
        """The end, once all bytes are read.

        Raises:
            UpstreamError: They ended before the answer did.
        """
        if not self._finish_reason:
            raise UpstreamError("the model's server broke off in the middle of an answer")
        return Ended(self._finish_reason, self._usage)

    def _tool_call(self, call: dict[str, Any]) -> ToolCallPiece:
        function = json_object(call.get("function"))
        call_id, name = str(call.get("id") or ""), str(function.get("name") or "")
        return ToolCallPiece(
            self._place_of(int(call.get("index") or 0), call_id, name),
            id=call_id,
            name=name,
            arguments=str(function.get("arguments") or ""),
        )

    def _place_of(self, index: int, call_id: str, name: str) -> int:
        """Which call a piece belongs to: servers that give each call the index 0 begin one with its own id and name."""
        known = self._calls.get(index)
        if known is not None and not (name and call_id and self._ids[known] and call_id != self._ids[known]):
            self._ids[known] = self._ids[known] or call_id
            return known
        self._ids.append(call_id)
        self._calls[index] = len(self._ids) - 1
        return self._calls[index]


def usage_of(body: dict[str, Any]) -> Usage:
    """The `usage` of a chat completion."""
    usage = json_object(body.get("usage"))
    prompt, completion = int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0)
    return Usage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        total_tokens=prompt + completion,
        cached_tokens=int(json_object(usage.get("prompt_tokens_details")).get("cached_tokens") or 0),
    )
