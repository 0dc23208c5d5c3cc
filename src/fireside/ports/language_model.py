"""What Fireside needs of a server that runs language models, wherever it runs.

Above: the inference service, which knows chains, roles and access. Below: one adapter a wire dialect. A server is
addressed with the model's own name on that server; renaming and fallback are not its business.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Literal, Protocol


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


@dataclass(slots=True)  # not frozen: some are made for each request, and frozen ones take three times as long to make
class RawReply:
    """A server's reply as bytes: head at once, `chunks` as the network delivers them.

    `retry_after`: the header of that name, when it came.
    """

    status: int
    media_type: str
    chunks: AsyncIterator[bytes]
    retry_after: str | None = None

    @property
    def is_stream(self) -> bool:
        """Whether it comes as server-sent events."""
        return self.media_type.startswith("text/event-stream")


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

    def forward(self, path: str, body: bytes) -> AbstractAsyncContextManager[RawReply]:
        """Pass a request of the OpenAI dialect through as bytes; leaving the context stops the server's work.

        Args:
            path: `/v1/chat/completions` and the like.
            body: JSON, sent as it is.

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
