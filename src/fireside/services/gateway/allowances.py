"""What is left of the caller's limits, in the headers of replies that went well, in the words of each dialect.

OpenAI's names stand on everything under `/v1` but `/v1/messages`, which has Anthropic's; Ollama has none. A stream
tells what was left when it began, with room held for its answer.
"""

from collections.abc import Awaitable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Protocol

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fireside.core.identity import Identity
from fireside.runtime.metering import Allowance

_DIALECTS, _ANTHROPIC = "/v1/", "/v1/messages"
_MODEL = "model"
_OK = 200
ALLOWANCE_HEADERS = tuple(
    name
    for unit in ("requests", "tokens")
    for what in ("limit", "remaining", "reset")
    for name in (f"x-ratelimit-{what}-{unit}", f"anthropic-ratelimit-{unit}-{what}")
)
"""Their names, for browsers that may read them on pages of other sites."""


class KnowsAllowances(Protocol):
    """Knows the limits of models; a meter does."""

    @property
    def is_limiting(self) -> bool:
        """Whether there is any limit."""
        ...

    async def left(self, identity: Identity, model: str) -> Sequence[Allowance]:
        """What is left to somebody of a model."""
        ...


class Allowances:
    """Adds the headers; without any limit, requests pass untouched."""

    def __init__(self, app: ASGIApp, *, source: KnowsAllowances) -> None:
        self._app, self._source = app, source

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Pass the request on."""
        if self._source.is_limiting and scope["type"] == "http" and scope["path"].startswith(_DIALECTS):
            send = self._telling(scope, send)
        return self._app(scope, receive, send)

    def _telling(self, scope: Scope, send: Send) -> Send:
        async def tell(message: Message) -> None:
            state = scope["state"]
            left = await self._source.left(state["context"].identity, state.get(_MODEL, ""))
            headers = _anthropic(left) if scope["path"].startswith(_ANTHROPIC) else _openai(left)
            message["headers"] = [*message["headers"], *headers]
            await send(message)

        def send_told(message: Message) -> Awaitable[None]:
            is_head = message["type"] == "http.response.start" and message["status"] == _OK
            return tell(message) if is_head else send(message)

        return send_told


def note_model(scope: Scope, name: str) -> None:
    """Say which model a request is for, so that its own limits are told as well."""
    scope["state"][_MODEL] = name


def _openai(left: Iterable[Allowance]) -> list[tuple[bytes, bytes]]:
    return [
        (f"x-ratelimit-{what}-{item.unit}".encode(), value.encode())
        for item in left
        for what, value in (
            ("limit", str(item.limit)),
            ("remaining", str(item.remaining)),
            ("reset", _duration(item.resets_at)),
        )
    ]


def _anthropic(left: Iterable[Allowance]) -> list[tuple[bytes, bytes]]:
    return [
        (f"anthropic-ratelimit-{item.unit}-{what}".encode(), value.encode())
        for item in left
        for what, value in (
            ("limit", str(item.limit)),
            ("remaining", str(item.remaining)),
            ("reset", f"{item.resets_at:%Y-%m-%dT%H:%M:%SZ}"),
        )
    ]


def _duration(until: datetime) -> str:
    """How long until then, as OpenAI writes it: `6m0s`, `1h0m5s`."""
    minutes, seconds = divmod(max(1, round((until - datetime.now(UTC)).total_seconds())), 60)
    hours, minutes = divmod(minutes, 60)
    return (f"{hours}h" if hours else "") + (f"{minutes}m" if hours or minutes else "") + f"{seconds}s"
