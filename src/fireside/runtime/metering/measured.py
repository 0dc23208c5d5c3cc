"""One call of a model on its way: what it may come to use is reserved, what it used is counted.

    async with meter.measure(context, "gpt-4o", expected) as measured:
        ...
        measured.used(usage)

Nothing is counted for a call of which nothing was heard: it failed before it began. Whoever leaves a call of which
nothing has been passed on has used what the model was given to read, and what it has said as far as that is known.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Protocol

from fireside.contracts.answer import Usage
from fireside.contracts.usage import LimitUnit
from fireside.core.identity import Identity
from fireside.runtime.context import Context
from fireside.runtime.metering.replies import ReplyReader, bounded, estimated_tokens


@dataclass(frozen=True, slots=True)
class Expected:
    """What is known of a call before it is made.

    Attributes:
        prompt_bytes: Length of the prompts, of which their tokens are estimated.
        max_tokens: Longest answer that the request allows; None when it does not say, 0 when there is none.
        context_tokens: The window of the model, which no prompt exceeds with its answer.
        prompts: How many it has.
        answers_to_each: How many answers to each prompt are asked for.
    """

    prompt_bytes: int
    max_tokens: int | None
    context_tokens: int
    prompts: int = 1
    answers_to_each: int = 1

    @property
    def prompt_tokens(self) -> int:
        """About how many."""
        return min(estimated_tokens(self.prompt_bytes), self.context_tokens * self.prompts)

    def most(self, answer_tokens: int) -> Usage:
        """What it may come to use; each answer as long as the request allows, or so long where it does not say."""
        longest = answer_tokens if self.max_tokens is None else self.max_tokens
        completion = min(longest, self.context_tokens) * self.prompts * self.answers_to_each
        return _usage(self.prompt_tokens, completion)


class Accounts(Protocol):
    """Where a measured call is reserved and counted."""

    async def admit(self, measured: "Measured") -> None:
        """Reserve room for it."""
        ...

    async def settle(self, measured: "Measured") -> None:
        """Count what it used, or nothing, and give back the rest."""
        ...

    def settle_soon(self, measured: "Measured") -> None:
        """The same, when whoever asks cannot wait."""
        ...


class Measures(Protocol):
    """Measures calls of models; a meter does."""

    def measure(self, context: Context, model: str, expected: Callable[[], Expected]) -> "Measured":
        """Measure a call; `expected` is asked only when a limit holds, or the server tells no usage."""
        ...


class Unmetered:
    """Measures nothing and refuses nothing: for a service that stands alone."""

    def measure(self, context: Context, model: str, expected: Callable[[], Expected]) -> "Measured":
        """A call that nobody counts."""
        return Measured(self, context.identity, model, expected, at=context.dispatcher.clock.now())

    async def admit(self, measured: "Measured") -> None:
        """Let it pass."""

    async def settle(self, measured: "Measured") -> None:
        """Count nothing."""

    def settle_soon(self, measured: "Measured") -> None:
        """Count nothing."""


class Measured:
    """A call. Entering raises LimitExceededError when a limit has no room for it.

    Attributes:
        identity: Who calls.
        model: The model's name.
        at: When it began; it counts in the windows of that moment.
        holds: The key of each counter that has room for it, with what it counts and how much.
        reservation: Names the room; empty when no limit holds.
    """

    def __init__(
        self, accounts: Accounts, identity: Identity, model: str, expected: Callable[[], Expected], *, at: datetime
    ) -> None:
        self.identity, self.model, self.at = identity, model, at
        self.holds: dict[str, tuple[LimitUnit, int]] = {}
        self.reservation = ""
        self._accounts, self._expected = accounts, expected
        self._told: Usage | None = None
        self._pieces = 0
        self._reader: ReplyReader | None = None
        self._unseen: ReplyReader | None = None
        self._was_left = False

    @property
    def expected(self) -> Expected:
        """What is known before; worked out when it is needed."""
        return self._expected()

    def heard(self, pieces: int = 1) -> None:
        """Note that so many tokens, or events, of the answer came."""
        self._pieces += pieces

    def used(self, usage: Usage) -> None:
        """Note what the server says it used; nothing, where it does not know."""
        self._told = bounded(usage) if usage.total_tokens else None
        self._pieces = max(1, self._pieces)

    def asked(self) -> Callable[[bytes], None]:
        """Note that the model is given the prompt; gives back what is told of bytes that are not passed on yet."""
        self._unseen = ReplyReader()
        return self._unseen.feed

    def reads(self, reader: ReplyReader) -> None:
        """Note that a reply passes through, along which this one reads."""
        self._reader = reader

    def usage(self, answer_tokens: int) -> tuple[Usage, bool] | None:
        """What was used, and whether it is only estimated; None for a call that failed before it began.

        Args:
            answer_tokens: Length that was assumed of an answer whose request sets none.
        """
        reader = self._reader
        told = self._told if reader is None else reader.usage(self._answers_to_each)
        if told is not None:
            return bounded(told), False
        if not (self._pieces if reader is None else reader.has_begun):
            return self._used_unseen(answer_tokens)
        completion = self._pieces if reader is None else reader.completion_tokens
        return _usage(self.expected.prompt_tokens, 0 if self.expected.max_tokens == 0 else completion), True

    def _used_unseen(self, answer_tokens: int) -> tuple[Usage, bool] | None:
        """What was used for somebody who left before anything was passed on: no more than there was room for."""
        if self._unseen is None or not self._was_left:
            return None
        most, told = self.expected.most(answer_tokens), self._unseen.usage(self._answers_to_each)
        prompt = most.prompt_tokens if told is None else told.prompt_tokens
        completion = self._unseen.completion_tokens if told is None else told.completion_tokens
        return _usage(min(prompt, most.prompt_tokens), min(completion, most.completion_tokens)), True

    def _answers_to_each(self) -> int:
        return self.expected.answers_to_each

    async def __aenter__(self) -> "Measured":
        """Reserve."""
        await self._accounts.admit(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Settle; nobody waits for it who is being cancelled."""
        if isinstance(error, asyncio.CancelledError | GeneratorExit):
            self._was_left = True
            self._accounts.settle_soon(self)
        else:
            await self._accounts.settle(self)


def _usage(prompt: int, completion: int) -> Usage:
    return Usage(prompt_tokens=prompt, completion_tokens=completion, total_tokens=prompt + completion)
