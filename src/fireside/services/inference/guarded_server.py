"""A provider's server behind its breaker and within its time: every real request goes through here."""

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from contextlib import aclosing, asynccontextmanager
from types import TracebackType
from typing import TypeVar

from fireside.core.errors import UpstreamError
from fireside.core.openai_wire import refusal
from fireside.ports.language_model import Completed, Heard, LanguageModelServer, Prompt, RawReply, TextDelta, WriteBytes
from fireside.runtime.middleware.deadlines import Deadline, Deadlines, WaitsDeadline
from fireside.services.inference.errors import EmptyAnswerError, ModelTooSlowError
from fireside.services.inference.provider_line import ProviderLine

ItemT = TypeVar("ItemT")

_CALLERS_FAULT = frozenset({400, 404, 405, 409, 413, 415, 422})
"""Statuses that go back to the client as they came: the provider is well, the request is not."""
_STREAMED = re.compile(rb'"stream"\s*:\s*true')


class GuardedServer:
    """One model of a provider's server."""

    def __init__(self, server: LanguageModelServer, line: ProviderLine, model: str) -> None:
        """Guard the server; `model` is the model's own name there."""
        self._server, self._line, self._model = server, line, model
        self._deadlines: Deadlines | None = None

    async def chat(self, prompt: Prompt) -> AsyncGenerator[TextDelta | Completed, None]:
        """Answer the prompt; raises as `LanguageModelServer.chat` does.

        Raises:
            ProviderRestingError: The provider is left alone at the moment.
            ModelTooSlowError: Its first word, or the whole answer, took longer than it may.
            EmptyAnswerError: It ended without a word.
        """
        clock, first_at = self._line.provider.clock, None
        with self._line.attempt(self._model) as attempt:
            begun = clock.monotonic()
            span = self._span()
            async with aclosing(self._server.chat(prompt)) as items:
                while (item := await _next(items, span)) is not None:
                    span.has_begun = True
                    if first_at is None:
                        if isinstance(item, Completed):
                            raise EmptyAnswerError(f"{self._model} ended without a word: {item.finish_reason}")
                        first_at = clock.monotonic()
                        self._line.provider.note_first_word(first_at - begun)
                        attempt.answered()
                    if isinstance(item, Completed):
                        self._line.provider.note_speed(item.completion_tokens, clock.monotonic() - first_at)
                    yield item

    @asynccontextmanager
    async def forward(self, path: str, body: bytes, heard: Heard | None = None) -> AsyncGenerator[RawReply, None]:
        """Pass a request through; a reply begins with its first bytes here, not only with its head.

        Raises:
            FiresideError: As `chat`; and what the provider's status means, unless the request itself is at fault.
        """
        with self._line.attempt(self._model) as attempt:
            begun, span = self._line.provider.clock.monotonic(), self._span()
            span.has_begun = not _STREAMED.search(body)  # the first byte of an answer in one piece comes with its end
            deadline = span.left()
            try:
                with deadline:
                    async with self._server.forward(path, body, heard) as reply:
                        first = await anext(reply.chunks, b"")
                        deadline.meet()
                        await _check(reply, first)
                        span.has_begun = True
                        attempt.answered()
                        self._line.provider.note_first_word(self._line.provider.clock.monotonic() - begun)
                        with span.rest() as rest:
                            chunks = _Rest(first, reply, _Wait(span, rest))
                            yield RawReply(reply.status, reply.media_type, chunks, reply.retry_after, chunks.pour)
            except TimeoutError as error:
                if deadline.expired:
                    raise span.too_slow() from error
                raise

    def _span(self) -> "Span":
        self._deadlines = self._deadlines or Deadlines(asyncio.get_running_loop())
        return Span(self._line, self._deadlines)

    async def model_names(self) -> list[str]:
        """Names of the models it serves."""
        return await self._server.model_names()

    async def close(self) -> None:
        """Release connections."""
        await self._server.close()


class Span:
    """The time that one answer has."""

    __slots__ = ("_begun", "_clock", "_deadlines", "_limits", "has_begun")

    def __init__(self, line: ProviderLine, deadlines: Deadlines) -> None:
        """Begin now."""
        self._limits, self._clock, self._deadlines = line.provider.limits, line.provider.clock, deadlines
        self._begun = self._clock.monotonic()
        self.has_begun = False

    def left(self) -> Deadline:
        """A block that may take as long as there is time for the next piece; to be entered at once."""
        left_s = self._left_s()
        return self._deadlines.within(left_s if self.has_begun else min(left_s, self._limits.first_word_s))

    def rest(self) -> WaitsDeadline:
        """A block in which waits for pieces may take what is left for the whole answer; to be entered at once."""
        return self._deadlines.waits_within(self._left_s())

    def too_slow(self) -> ModelTooSlowError:
        """What is raised when the time is over."""
        what = "did not end its answer" if self.has_begun else "did not say its first word"
        limit_s = self._limits.answer_s if self.has_begun else self._limits.first_word_s
        return ModelTooSlowError(f"the model {what} within {limit_s:g} s")

    def _left_s(self) -> float:
        return self._limits.answer_s - (self._clock.monotonic() - self._begun)


class _Wait:
    """A block in which a piece is waited for; raises ModelTooSlowError when the time is over."""

    __slots__ = ("_deadline", "_span")

    def __init__(self, span: Span, deadline: WaitsDeadline) -> None:
        self._span, self._deadline = span, deadline

    def __enter__(self) -> None:
        if self._deadline.expired:
            raise self._span.too_slow()
        self._deadline.begin_wait()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        is_over = kind is asyncio.CancelledError and self._deadline.cut_wait_short()
        self._deadline.end_wait()
        if is_over:
            raise self._span.too_slow() from error


class _Rest(AsyncIterator[bytes]):
    """All bytes of a reply, of which the first have come; raises ModelTooSlowError when the time is over."""

    __slots__ = ("_first", "_reply", "_wait")

    def __init__(self, first: bytes, reply: RawReply, wait: _Wait) -> None:
        self._first, self._reply, self._wait = first, reply, wait

    async def __anext__(self) -> bytes:
        if self._first:
            first, self._first = self._first, b""
            return first
        with self._wait:
            return await anext(self._reply.chunks)

    async def pour(self, write: WriteBytes) -> None:
        """As `RawReply.pipe`; there, slow writing is part of the time of the answer."""
        if self._first:
            await write(await anext(self))
        with self._wait:
            await self._reply.pipe(write)


async def _in_time(work: Awaitable[ItemT], span: Span) -> ItemT:
    """What comes of the work.

    Raises:
        ModelTooSlowError: The time is over.
    """
    deadline = span.left()
    try:
        with deadline:
            return await work
    except TimeoutError as error:
        if deadline.expired:
            raise span.too_slow() from error
        raise


async def _next(items: AsyncIterator[ItemT], span: Span) -> ItemT | None:
    """The next piece, None at the end; raises as `_in_time` does."""
    try:
        return await _in_time(anext(items), span)
    except StopAsyncIteration:
        return None


async def _check(reply: RawReply, first: bytes) -> None:
    """Pass when the reply is an answer, or says that the request is wrong."""
    if reply.status in _CALLERS_FAULT:
        return
    if reply.status == 200:
        if not first:
            raise EmptyAnswerError("the model's server sent nothing")
        if "json" not in reply.media_type and not reply.is_stream:
            raise UpstreamError(f"the model's server sent something that is not JSON: {reply.media_type}")
        return
    body = first + b"".join([data async for data in reply.chunks])
    raise refusal(reply.status, body, retry_after=reply.retry_after)
