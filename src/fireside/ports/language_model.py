"""What Fireside needs of a server that runs language models, wherever it runs.

Above: the inference service, which knows chains, roles and access. Below: one adapter a wire dialect. A server is
addressed with the model's own name on that server; renaming and fallback are not its business.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Literal, Protocol

Heard = Callable[[bytes], None]
"""Is told of bytes of an answer that come before it is passed on."""


@dataclass(frozen=True, slots=True)
class PromptMessage:
    """One message of a prompt, in order."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a model is asked, in terms every dialect has; None leaves a choice to the server."""

    model: str
    messages: tuple[PromptMessage, ...]
    max_tokens: int | None = None
    temperature: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    response_format: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class TextDelta:
    """The next piece of text."""

    text: str


@dataclass(frozen=True, slots=True)
class Completed:
    """The end of an answer, with the server's count of tokens (zero where it gives none)."""

    finish_reason: str
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0


WriteBytes = Callable[[bytes], Awaitable[None]]
"""Begins to write bytes; what it gives back is to be awaited before it is called again."""


@dataclass(slots=True)  # not frozen: some are made for each request, and frozen ones take three times as long to make
class RawReply:
    """A server's reply as bytes: head at once, `chunks` as the network delivers them.

    Attributes:
        retry_after: The header of that name, when it came.
        pour: Has chunks written in the moment in which they come, where the adapter can: see `pipe`.
    """

    status: int
    media_type: str
    chunks: AsyncIterator[bytes]
    retry_after: str | None = None
    pour: Callable[[WriteBytes], Awaitable[None]] | None = None

    @property
    def is_stream(self) -> bool:
        """Whether it comes as server-sent events."""
        return self.media_type.startswith("text/event-stream")

    def pipe(self, write: WriteBytes) -> Awaitable[None]:
        """Have every chunk written that is still to come, as it comes; the next waits until the one before is written.

        A chunk may be written before the task that waits here has its turn, as `fireside.core.tasks.begun` says.

        Raises:
            FiresideError: As `chunks`.
        """
        return self._pipe_chunks(write) if self.pour is None else self.pour(write)

    async def _pipe_chunks(self, write: WriteBytes) -> None:
        async for chunk in self.chunks:
            await write(chunk)


class LanguageModelServer(Protocol):
    """A server of language models."""

    def chat(self, prompt: Prompt) -> AsyncGenerator[TextDelta | Completed, None]:
        """Answer the prompt: deltas, then exactly one `Completed`. Closing the generator stops the server's work.

        Raises:
            UnavailableError: The server cannot be reached or is still loading; nothing was generated.
            TooManyRequestsError: The server's own limit.
            InvalidInputError: The server refuses the prompt (too long, unknown option).
            UpstreamError: It answered wrongly, or broke off in the middle.
        """
        ...

    def forward(self, path: str, body: bytes, heard: Heard | None = None) -> AbstractAsyncContextManager[RawReply]:
        """Pass a request of the OpenAI dialect through as bytes; leaving the context stops the server's work.

        Args:
            path: `/v1/chat/completions` and the like.
            body: JSON, sent as it is.
            heard: Is told of the stream of an answer that comes as one and is passed on in one piece.

        Raises:
            UnavailableError: The server cannot be reached.
        """
        ...

    async def model_names(self) -> list[str]:
        """Names of the models it serves.

        Raises:
            UnavailableError: The server cannot be reached.
        """
        ...

    async def close(self) -> None:
        """Release connections."""
        ...
