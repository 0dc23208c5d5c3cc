"""What every server of models is spoken to with: connections, second tries, and prompts as chat completions.

aiohttp, because re-encoding and slower clients cost several times the rest of the way.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, cast

import aiohttp
import orjson

from fireside.adapters.language_model.guarded_resolver import GuardedResolver
from fireside.core.errors import UnavailableError, UpstreamError
from fireside.core.openai_wire import ChunkCutter, first_choice, json_object, refusal
from fireside.ports.language_model import Completed, Prompt, RawReply, TextDelta

COMPLETIONS = "/v1/chat/completions"
MOST_CONNECTIONS = 4096
"""As many as one node takes streams of an action: whoever was admitted must not wait once more, unseen."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a server is: `base_url` without `/v1`, and its key (empty for none)."""

    base_url: str
    api_key: str = ""


class ModelServer(ABC):
    """Speaks to one server; its address is asked for at each request, because an engine that restarts may move."""

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
            connections: Most connections kept open at once.
        """
        self._locate = locate
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=connect_timeout_s, sock_read=read_timeout_s)
        self._connections = connections
        self._sessions: dict[bool, aiohttp.ClientSession] = {}

    @abstractmethod
    def forward(self, path: str, body: bytes) -> AbstractAsyncContextManager[RawReply]:
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
                    text = json_object(choice.get("delta")).get("content")
                    if text:
                        yield TextDelta(text)
                    finish_reason = choice.get("finish_reason") or finish_reason
                    usage = json_object(chunk.get("usage")) or usage
            if not finish_reason:
                raise UpstreamError("the model's server broke off in the middle of an answer")
            yield _completed(finish_reason, usage)

    async def model_names(self) -> list[str]:
        """Names of the models it serves."""
        async with self._request("GET", "/v1/models", None) as response:
            if response.status != 200:
                raise refusal(response.status, await response.read())
            listed = json_object(_loaded(await response.read())).get("data")
            if not isinstance(listed, list):
                raise UpstreamError("the model's server sent no list of models")
            models = [json_object(model) for model in cast("list[Any]", listed)]
            return [str(model["id"]) for model in models if model.get("id")]

    async def close(self) -> None:
        """Release connections."""
        while self._sessions:
            await self._sessions.popitem()[1].close()

    @asynccontextmanager
    async def _request(
        self, method: str, path: str, body: bytes | None
    ) -> AsyncGenerator[aiohttp.ClientResponse, None]:
        response = await self._send(method, path, body)
        try:
            yield response
        finally:
            # close, not release: an unread rest means that the caller left, and the server must notice.
            response.release() if response.content.at_eof() else response.close()

    async def _send(self, method: str, path: str, body: bytes | None) -> aiohttp.ClientResponse:
        """Send a request, once more when the server hung up before it said a word.

        Either a kept connection was closed meanwhile (llama.cpp closes it after every stream, without saying so), or
        an engine crashed and is found again at another address.
        """
        try:
            try:
                return await self._send_once(method, path, body, kept=True)
            except aiohttp.ClientConnectorError:  # there was no connection to hang up
                raise
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError, ConnectionResetError, BrokenPipeError):
                return await self._send_once(method, path, body, kept=False)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise UnavailableError(f"the model's server does not answer: {type(error).__name__}") from error

    async def _send_once(self, method: str, path: str, body: bytes | None, *, kept: bool) -> aiohttp.ClientResponse:
        url, headers = self._address(await self._locate(), path)
        headers["content-type"] = "application/json"
        return await self._session(kept=kept).request(method, url, data=body, headers=headers, allow_redirects=False)

    def _session(self, *, kept: bool) -> aiohttp.ClientSession:
        """The session whose connections are kept for later requests, or the one that opens one for each."""
        if kept not in self._sessions:
            resolver = GuardedResolver()
            connector = aiohttp.TCPConnector(limit=self._connections, force_close=not kept, resolver=resolver)
            self._sessions[kept] = aiohttp.ClientSession(
                connector=connector,
                timeout=self._timeout,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                skip_auto_headers=("accept-encoding",),  # replies are passed on as they come
            )
        return self._sessions[kept]


def as_reply(response: aiohttp.ClientResponse) -> RawReply:
    """A response as it came."""
    return RawReply(
        status=response.status,
        media_type=response.headers.get("content-type", "application/json"),
        chunks=chunks_of(response),
        retry_after=_retry_after(response),
    )


def _retry_after(response: aiohttp.ClientResponse) -> str | None:
    """The header of that name in whole seconds, also where it is a fraction of one, or a date by the server's clock."""
    text = response.headers.get("retry-after")
    if not text or text.isdigit():
        return text
    try:
        return str(max(1, math.ceil(float(text))))
    except (ValueError, OverflowError):
        pass
    try:
        begin = parsedate_to_datetime(response.headers.get("date", ""))
        return str(max(1, math.ceil((parsedate_to_datetime(text) - begin).total_seconds())))
    except (ValueError, TypeError, OverflowError):
        return None


def _loaded(data: bytes) -> Any:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise UpstreamError("the model's server sent something that is not JSON") from error


async def chunks_of(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """The bytes of a response as the network delivers them.

    Raises:
        UpstreamError: It broke off.
    """
    try:
        async for chunk in response.content.iter_any():
            yield chunk
    except (aiohttp.ClientError, TimeoutError) as error:
        raise UpstreamError("the model's server broke off in the middle of an answer") from error


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
        "temperature": prompt.temperature,
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
