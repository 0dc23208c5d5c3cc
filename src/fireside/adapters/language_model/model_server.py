"""What every server of models is spoken to with: connections, second tries, and prompts as chat completions.

Over connections of its own, because a general client, or encoding anew, costs as much as all the rest of the way.
"""

import asyncio
import math
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import partial
from types import TracebackType
from typing import Any, ClassVar, TypeVar, cast

import orjson

from fireside.adapters.language_model.connections import Connections, StaleConnectionError, Target, target_of
from fireside.adapters.language_model.strict_servers import takes_temperature
from fireside.adapters.language_model.wire import HungUpError, Wire
from fireside.core.errors import UnavailableError, UpstreamError
from fireside.core.openai_wire import ChunkCutter, first_choice, json_object, refusal, text_and_thought
from fireside.ports.language_model import Completed, Heard, Prompt, RawReply, TextDelta, WriteBytes

ReplyT = TypeVar("ReplyT")

COMPLETIONS = "/v1/chat/completions"
MOST_CONNECTIONS = 4096
"""As many as one node takes streams of an action: whoever was admitted must not wait once more, unseen."""
_REMEMBERED = 64
_LOOK_S = 0.02
_NOT_HEARD = (HungUpError, ConnectionRefusedError, ConnectionResetError, BrokenPipeError)


class BrokenOffError(UpstreamError):
    """The model's server broke off in the middle of an answer."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a server is: `base_url` without `/v1`, and its key (empty for none)."""

    base_url: str
    api_key: str = ""


class ModelServer(ABC):
    """Speaks to one server; its address is asked for at each request, because an engine that restarts may move."""

    _noticed_within_s: ClassVar[float] = 0.0
    """How long it may take until it is noticed that the server ended, which then is found at another address."""

    def __init__(
        self,
        locate: Callable[[], Awaitable[Endpoint]],
        *,
        connect_timeout_s: float = 5.0,
        read_timeout_s: float = 120.0,
        connections: int = MOST_CONNECTIONS,
    ) -> None:
        """Prepare to speak to a server.

        Args:
            locate: Tells where the server is now; may raise UnavailableError.
            connect_timeout_s: Longest wait for a connection.
            read_timeout_s: Longest silence of the server.
            connections: Most connections used at once.
        """
        self._locate, self.read_timeout_s = locate, read_timeout_s
        self._connections = Connections(
            most=connections, connect_timeout_s=connect_timeout_s, read_timeout_s=read_timeout_s
        )
        self._targets: dict[tuple[str, Endpoint, str], Target] = {}

    @abstractmethod
    def forward(self, path: str, body: bytes, heard: Heard | None = None) -> AbstractAsyncContextManager[RawReply]:
        """Send a request of the OpenAI dialect; leaving the context stops the server's work."""

    @abstractmethod
    def _address(self, endpoint: Endpoint, path: str) -> tuple[str, dict[str, str]]:
        """The URL of a path of the server, and the headers that it wants."""

    async def chat(self, prompt: Prompt) -> AsyncGenerator[TextDelta | Completed, None]:
        """Answer the prompt: deltas, then exactly one `Completed`."""
        async with self.forward(COMPLETIONS, orjson.dumps(_request_body(prompt))) as reply:
            if reply.status != 200:
                raise refusal(reply.status, await whole(reply.chunks), retry_after=reply.retry_after)
            finish_reason, usage = "", json_object(None)
            cutter = ChunkCutter()
            async for data in reply.chunks:
                for chunk in cutter.feed(data):
                    choice = first_choice(chunk)
                    delta = json_object(choice.get("delta"))
                    if text := text_and_thought(delta.get("content"))[0] or str(delta.get("refusal") or ""):
                        yield TextDelta(text)
                    finish_reason = choice.get("finish_reason") or finish_reason
                    usage = json_object(chunk.get("usage")) or usage
            if not finish_reason:
                raise BrokenOffError
            yield _completed(finish_reason, usage)

    async def model_names(self) -> list[str]:
        """Names of the models it serves."""
        async with Requested(self, "GET", "/v1/models", None, as_reply) as reply:
            body = await whole(reply.chunks)
            if reply.status != 200:
                raise refusal(reply.status, body)
            listed = json_object(_loaded(body)).get("data")
            if not isinstance(listed, list):
                raise UpstreamError("the model's server sent no list of models")
            models = [json_object(model) for model in cast("list[Any]", listed)]
            return [str(model["id"]) for model in models if model.get("id")]

    async def close(self) -> None:
        """Release connections."""
        await self._connections.close()

    def give_back(self, response: Wire) -> None:
        """Let go of a reply. An unread rest means that the caller left, and the server notices."""
        self._connections.give_back(response)

    async def send(self, method: str, path: str, body: bytes | None) -> Wire:
        """Send a request, once more when it may not have been heard. The reply is to be given back.

        Either a kept connection was closed meanwhile (llama.cpp closes it after every stream, without saying so), or
        an engine crashed and is found again at another address. A server that was there, and hung up over a request on
        a new connection, may have worked on it, and is not asked for the same again.

        Raises:
            UnavailableError: The server cannot be reached.
        """
        try:
            asked = await self._locate()
            try:
                return await self._ask(asked, method, path, body)
            except _NOT_HEARD:
                if not await self._has_moved(asked):
                    raise
                return await self._ask(await self._locate(), method, path, body)
        except OSError as error:
            raise UnavailableError(f"the model's server does not answer: {type(error).__name__}") from error

    async def _ask(self, endpoint: Endpoint, method: str, path: str, body: bytes | None) -> Wire:
        target = self._target(endpoint, method, path)
        sent = body if body is None else self._suited(target, path, body)
        try:
            return await self._connections.ask(target, sent)
        except StaleConnectionError:
            return await self._connections.ask(target, sent, fresh=True)

    async def _has_moved(self, asked: Endpoint) -> bool:
        """Whether the server is no longer where it was asked."""
        until = time.monotonic() + self._noticed_within_s
        while (await self._locate()).base_url == asked.base_url:
            if time.monotonic() >= until:
                return False
            await asyncio.sleep(_LOOK_S)
        return True

    def _suited(self, target: Target, path: str, body: bytes) -> bytes:
        """A request as the server at a place takes it."""
        del target, path
        return body

    def _target(self, endpoint: Endpoint, method: str, path: str) -> Target:
        key = (method, endpoint, path)
        target = self._targets.get(key)
        if target is None:
            if len(self._targets) >= _REMEMBERED:
                self._targets.clear()
            target = self._targets[key] = target_of(method, *self._address(endpoint, path))
        return target


class Requested(AbstractAsyncContextManager[ReplyT]):
    """A request to a server: entered it is sent, left it is over; an unread rest of the reply is not waited for."""

    __slots__ = ("_body", "_method", "_path", "_read", "_response", "_server")

    def __init__(
        self, server: ModelServer, method: str, path: str, body: bytes | None, read: Callable[[Wire], ReplyT]
    ) -> None:
        """Prepare; `read` makes of the response what the context gives."""
        self._server, self._method, self._path, self._body, self._read = server, method, path, body, read

    async def __aenter__(self) -> ReplyT:
        """Send; raises as `ModelServer.send` does."""
        self._response = await self._server.send(self._method, self._path, self._body)
        return self._read(self._response)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go."""
        self._server.give_back(self._response)


def as_reply(response: Wire) -> RawReply:
    """A response as it came."""
    return RawReply(
        status=response.status,
        media_type=_header(response, b"content-type") or "application/json",
        chunks=chunks_of(response),
        retry_after=_retry_after(response),
        pour=partial(_pour, response),
    )


def _header(response: Wire, name: bytes) -> str:
    return response.headers.get(name, b"").decode("latin-1")


def _retry_after(response: Wire) -> str | None:
    """The header of that name in whole seconds, also where it is a fraction of one, or a date by the server's clock."""
    text = _header(response, b"retry-after")
    if not text or text.isdigit():
        return text or None
    try:
        return str(max(1, math.ceil(float(text))))
    except (ValueError, OverflowError):
        pass
    try:
        begin = parsedate_to_datetime(_header(response, b"date"))
        return str(max(1, math.ceil((parsedate_to_datetime(text) - begin).total_seconds())))
    except (ValueError, TypeError, OverflowError):
        return None


def _loaded(data: bytes) -> Any:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise UpstreamError("the model's server sent something that is not JSON") from error


async def chunks_of(response: Wire) -> AsyncIterator[bytes]:
    """The bytes of a response as the network delivers them.

    Raises:
        UpstreamError: It broke off.
    """
    try:
        while chunk := await response.read():
            yield chunk
    except OSError as error:
        raise BrokenOffError from error


async def _pour(response: Wire, write: WriteBytes) -> None:
    try:
        await response.pipe(write)
    except OSError as error:
        raise BrokenOffError from error


async def whole(chunks: AsyncIterator[bytes]) -> bytes:
    """All of it."""
    return b"".join([chunk async for chunk in chunks])


def _request_body(prompt: Prompt) -> dict[str, Any]:
    body: dict[str, Any] = {
        "model": prompt.model,
        "messages": [{"role": message.role, "content": message.content} for message in prompt.messages],
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": prompt.max_tokens,
        "temperature": prompt.temperature if takes_temperature(prompt.model) else None,
        "seed": prompt.seed,
        "stop": list(prompt.stop) or None,
        "response_format": prompt.response_format,
    }
    return {key: value for key, value in body.items() if value is not None}


def _completed(finish_reason: str, usage: dict[str, Any]) -> Completed:
    return Completed(
        finish_reason=finish_reason,
        prompt_tokens=int(usage.get("prompt_tokens") or 0),
        completion_tokens=int(usage.get("completion_tokens") or 0),
        cached_tokens=int(json_object(usage.get("prompt_tokens_details")).get("cached_tokens") or 0),
    )
