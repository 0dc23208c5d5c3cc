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


async def complete(session: aiohttp.ClientSession, url: str, headers: Mapping[str, str], body: Any) -> Seen:
    """Ask for a streamed completion and watch it.

    Raises:
        SystemExit: The server refused or sent no token.
    """
    began = time.perf_counter()
    first, tokens = 0.0, 0
    async with session.post(url + "/v1/chat/completions", data=orjson.dumps(body), headers=dict(headers)) as reply:
        if reply.status != 200:
            raise SystemExit(f"{url} answered {reply.status}: {await reply.text()}")
        async for line in reply.content:
            if b'"content":"' in line and b'"content":""' not in line:
                first = first or time.perf_counter()
                tokens += 1
    ended = time.perf_counter()
    if not tokens:
        raise SystemExit(f"{url} sent no token")
    rate = (tokens - 1) / (ended - first) if tokens > 1 else 0.0
    return Seen((first - began) * 1000, tokens, rate, (ended - began) * 1000)


def ask(model: str, text: str, *, max_tokens: int = 64) -> dict[str, Any]:
    """The body of a request whose answer is the same each time."""
    return {
        "model": model,
        "messages": [{"role": "user", "content": text}],
        "max_tokens": max_tokens,
        "temperature": 0,
        "seed": 1,
        "stream": True,
    }
