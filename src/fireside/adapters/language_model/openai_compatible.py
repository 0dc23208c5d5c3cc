"""Any server that speaks OpenAI's API: bytes are passed through as they come, unless it refuses them so.

The embedded engine, Ollama, vLLM, llama-server, OpenAI, Groq and Mistral do, and Azure and Gemini under other paths.
"""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from fireside.adapters.language_model.connections import Target
from fireside.adapters.language_model.model_server import MOST_CONNECTIONS, Endpoint, ModelServer, Requested, as_reply
from fireside.adapters.language_model.strict_servers import LENIENT, OF_OPENAI, STRICT, Manners, manners_of
from fireside.ports.language_model import Heard, RawReply


@dataclass(frozen=True, slots=True)
class Variant:
    """A way of having the API.

    Attributes:
        root: What stands in the place of `/v1`.
        key_header: What carries the key.
        manners: How requests are wanted; None to tell it by the server's host.
    """

    root: str = "/v1"
    key_header: str = "authorization"
    manners: Manners | None = None


OPENAI = Variant()
AZURE = Variant(root="/openai/v1", key_header="api-key", manners=OF_OPENAI)
GEMINI = Variant(root="/v1beta/openai", manners=STRICT)


class OpenAICompatibleServer(ModelServer):
    """A server of OpenAI's dialect, or of a variant of it."""

    def __init__(
        self,
        locate: Callable[[], Awaitable[Endpoint]],
        *,
        variant: Variant = OPENAI,
        connect_timeout_s: float = 5.0,
        read_timeout_s: float = 120.0,
        connections: int = MOST_CONNECTIONS,
    ) -> None:
        """Prepare to speak to a server; see `ModelServer`."""
        super().__init__(
            locate, connect_timeout_s=connect_timeout_s, read_timeout_s=read_timeout_s, connections=connections
        )
        self._variant = variant

    def forward(self, path: str, body: bytes, heard: Heard | None = None) -> AbstractAsyncContextManager[RawReply]:
        """Pass a request through as bytes, each as it comes."""
        del heard
        return Requested(self, "POST", path, body, as_reply)

    def _suited(self, target: Target, path: str, body: bytes) -> bytes:
        _, host, _ = target.origin
        manners = self._variant.manners or manners_of(host)
        return body if manners is LENIENT else manners.suited(path, body)

    def _address(self, endpoint: Endpoint, path: str) -> tuple[str, dict[str, str]]:
        headers: dict[str, str] = {}
        if endpoint.api_key:
            bearer = "Bearer " if self._variant.key_header == "authorization" else ""
            headers[self._variant.key_header] = bearer + endpoint.api_key
        return endpoint.base_url + self._variant.root + path.removeprefix("/v1"), headers
