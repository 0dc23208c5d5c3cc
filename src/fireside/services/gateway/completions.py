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
from fireside.core.errors import UpstreamError
from fireside.core.openai_wire import ChunkCutter, first_choice, json_object

CHAT_COMPLETIONS = "/v1/chat/completions"
COMPLETIONS = "/v1/completions"

_MARK = re.compile(r"\[(\d+)\]")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a client wants: `body` is a request of OpenAI's shape without `stream`, and `path` says which."""

    model: str
    body: dict[str, Any]
    stream: bool
    path: str = CHAT_COMPLETIONS


@dataclass(frozen=True, slots=True)
class TextPiece:
    """The next piece of text; log probabilities, one a token, when they were asked for."""

    text: str
    logprobs: tuple[dict[str, Any], ...] = ()


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
class Completion:
    """An answer in one piece; `first_ns` is when its first event came, by `time.perf_counter_ns`."""

    text: str = ""
    reasoning: str = ""
    tool_calls: list[ToolCall] = field(default_factory=lambda: list[ToolCall]())
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
                self.text += event.text
                self.logprobs.extend(event.logprobs)
            case ReasoningPiece():
                self.reasoning += event.text
            case ToolCallPiece():
                self._add_call(event)
            case Ended():
                self.text = self.text if event.text is None else event.text
                self.finish_reason, self.usage, self.sources = event.finish_reason, event.usage, event.sources
                self.ended = True

    def _add_call(self, piece: ToolCallPiece) -> None:
        while len(self.tool_calls) <= piece.index:
            self.tool_calls.append(ToolCall("", ""))
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

    def feed(self, data: bytes) -> Iterator[CompletionEvent]:
        """The pieces that these bytes complete.

        Raises:
            UpstreamError: The server sent an error, or something that is no chunk.
        """
        for chunk in self._cutter.feed(data):
            choice = first_choice(chunk)
            delta = json_object(choice.get("delta"))
            reasoning = delta.get("reasoning_content") or delta.get("reasoning")
            if isinstance(reasoning, str):
                yield ReasoningPiece(reasoning)
            if text := delta.get("content") or choice.get("text"):
                yield TextPiece(str(text), tuple(json_object(choice.get("logprobs")).get("content") or ()))
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
        index = self._calls.setdefault(int(call.get("index") or 0), len(self._calls))
        return ToolCallPiece(
            index,
            id=str(call.get("id") or ""),
            name=str(function.get("name") or ""),
            arguments=str(function.get("arguments") or ""),
        )


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
