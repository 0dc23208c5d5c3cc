"""Chat completions as a client sees them: time to the first token, tokens per second."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson


@dataclass(frozen=True, slots=True)
class Seen:
    """One streamed completion: when the first token came, how many came, and how fast after the first."""

    first_token_ms: float
    tokens: int
    tokens_per_s: float
    total_ms: float


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a dialect is asked and read: its path, what starts the line of a piece of text, what an empty one has."""

    path: str
    text: bytes
    empty: bytes


OPENAI = Dialect("/v1/chat/completions", b'"content":"', b'"content":""')
ANTHROPIC = Dialect("/v1/messages", b'"text_delta"', b'"text":""')
OLLAMA = Dialect("/api/chat", b'"content":"', b'"content":""')


async def complete(
    session: aiohttp.ClientSession, url: str, headers: Mapping[str, str], body: Any, dialect: Dialect = OPENAI
) -> Seen:
    """Ask for a streamed completion and watch it.

    Raises:
        SystemExit: The server refused or sent no token.
    """
    began = time.perf_counter()
    first, tokens = 0.0, 0
    async with session.post(url + dialect.path, data=orjson.dumps(body), headers=dict(headers)) as reply:
        if reply.status != 200:
            raise SystemExit(f"{url} answered {reply.status}: {await reply.text()}")
        async for line in reply.content:
            if dialect.text in line and dialect.empty not in line:
                first = first or time.perf_counter()
                tokens += 1
    ended = time.perf_counter()
    if not tokens:
        raise SystemExit(f"{url} sent no token")
    rate = (tokens - 1) / (ended - first) if tokens > 1 else 0.0
    return Seen((first - began) * 1000, tokens, rate, (ended - began) * 1000)


def ask(model: str, text: str, *, max_tokens: int = 64, dialect: Dialect = OPENAI) -> dict[str, Any]:
    """The body of a request whose answer is the same each time."""
    if dialect is OLLAMA:
        options = {"num_predict": max_tokens, "temperature": 0, "seed": 1}
        return {"model": model, "messages": [{"role": "user", "content": text}], "options": options}
    seed = {"seed": 1} if dialect is OPENAI else {}
    return seed | {
        "model": model,
        "messages": [{"role": "user", "content": text}],
        "max_tokens": max_tokens,
        "temperature": 0,
        "stream": True,
    }
