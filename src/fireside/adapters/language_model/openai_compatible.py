"""Any server that speaks OpenAI's API: the embedded engine, Ollama, vLLM, llama-server, OpenAI itself.

aiohttp, and bytes passed through: re-encoding every event costs several times the rest of the way. The wire format is
OpenAI's chat completions API with server-sent events.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

import aiohttp
import orjson

from fireside.adapters.language_model.guarded_resolver import GuardedResolver
from fireside.core.errors import (
    FiresideError,
    InvalidInputError,
    TooManyRequestsError,
    UnavailableError,
    UpstreamError,
)
from fireside.ports.language_model import Completed, Prompt, RawReply, TextDelta

_DONE = b"[DONE]"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a server is: `base_url` without `/v1`, and its key (empty for none)."""

    base_url: str
    api_key: str = ""


class OpenAICompatibleServer:
    """Speaks to one server; its address is asked for at each request, because an engine that restarts may move."""

    def __init__(
        self,
        locate: Callable[[], Awaitable[Endpoint]],
        *,
        connect_timeout_s: float = 5.0,
        read_timeout_s: float = 120.0,
        connections: int = 1024,
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

    @asynccontextmanager
    async def forward(self, path: str, body: bytes) -> AsyncGenerator[RawReply, None]:
        """Pass a request through as bytes."""
        async with self._request("POST", path, body) as response:
            media_type = response.headers.get("content-type", "application/json")
            yield RawReply(status=response.status, media_type=media_type, chunks=_chunks(response))

    async def chat(self, prompt: Prompt) -> AsyncGenerator[TextDelta | Completed, None]:
        """Answer the prompt: deltas, then exactly one `Completed`."""
        body = orjson.dumps(_request_body(prompt))
        async with self._request("POST", "/v1/chat/completions", body) as response:
            if response.status != 200:
                raise _refusal(response.status, await response.read(), response.headers.get("retry-after"))
            finish_reason, usage = "", _object(None)
            async for event in _events(_chunks(response)):
                choice = _first_choice(event)
                text = _object(choice.get("delta")).get("content")
                if text:
                    yield TextDelta(text)
                finish_reason = choice.get("finish_reason") or finish_reason
                usage = _object(event.get("usage")) or usage
            if not finish_reason:
                raise UpstreamError("the model's server broke off in the middle of an answer")
            yield _completed(finish_reason, usage)

    async def model_names(self) -> list[str]:
        """Names of the models it serves."""
        async with self._request("GET", "/v1/models", None) as response:
            if response.status != 200:
                raise _refusal(response.status, await response.read(), None)
            listed = orjson.loads(await response.read())
            return [str(model["id"]) for model in listed.get("data", [])]

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
            except (aiohttp.ServerDisconnectedError, ConnectionResetError, BrokenPipeError):
                return await self._send_once(method, path, body, kept=False)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise UnavailableError(f"the model's server does not answer: {type(error).__name__}") from error

    async def _send_once(self, method: str, path: str, body: bytes | None, *, kept: bool) -> aiohttp.ClientResponse:
        endpoint = await self._locate()
        headers = {"content-type": "application/json"}
        if endpoint.api_key:
            headers["authorization"] = f"Bearer {endpoint.api_key}"
        url = endpoint.base_url + path
        return await self._session(kept=kept).request(method, url, data=body, headers=headers, allow_redirects=False)

    def _session(self, *, kept: bool) -> aiohttp.ClientSession:
        """The session whose connections are kept for later requests, or the one that opens one for each."""
        if kept not in self._sessions:
            resolver = GuardedResolver()
            connector = aiohttp.TCPConnector(limit=self._connections, force_close=not kept, resolver=resolver)
            self._sessions[kept] = aiohttp.ClientSession(
                connector=connector, timeout=self._timeout, auto_decompress=False
            )
        return self._sessions[kept]


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


async def _chunks(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    try:
        async for chunk in response.content.iter_any():
            yield chunk
    except (aiohttp.ClientError, TimeoutError) as error:
        raise UpstreamError("the model's server broke off in the middle of an answer") from error


async def _events(chunks: AsyncIterator[bytes]) -> AsyncIterator[dict[str, Any]]:
    """Cut server-sent events out of a byte stream; the data of each is a JSON object."""
    rest = b""
    async for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            data = line[5:].strip() if line.startswith(b"data:") else b""
            if data == _DONE:
                return
            if data:
                yield _event(data)


def _event(data: bytes) -> dict[str, Any]:
    try:
        event: dict[str, Any] = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise UpstreamError("the model's server sent something that is not JSON") from error
    if "error" in event:
        raise UpstreamError(_error_text(event))
    return event


def _object(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _first_choice(event: dict[str, Any]) -> dict[str, Any]:
    choices: list[Any] = event.get("choices") or [{}]
    return _object(choices[0])


def _completed(finish_reason: str, usage: dict[str, Any]) -> Completed:
    return Completed(
        finish_reason=finish_reason,
        prompt_tokens=int(usage.get("prompt_tokens") or 0),
        completion_tokens=int(usage.get("completion_tokens") or 0),
        cached_tokens=int(_object(usage.get("prompt_tokens_details")).get("cached_tokens") or 0),
    )


def _refusal(status: int, body: bytes, retry_after: str | None) -> FiresideError:
    try:
        text = _error_text(orjson.loads(body))
    except orjson.JSONDecodeError:
        text = f"status {status}"
    if status == 429:
        wait_s = int(retry_after) if retry_after and retry_after.isdigit() else 1
        return TooManyRequestsError(f"the model's server is busy: {text}", retry_after_s=wait_s)
    if status == 503:
        return UnavailableError(f"the model's server is not ready: {text}")
    if status in {400, 404, 413, 422}:
        return InvalidInputError(f"the model's server refuses the request: {text}")
    return UpstreamError(f"the model's server failed: {text}", upstream_status=status)


def _error_text(body: Any) -> str:
    error: Any = _object(body).get("error", body)
    return str(_object(error).get("message", error))[:300]
