"""What some servers of OpenAI's dialect refuse in a request that others take, and the request as they take it. Pure.

| who | refuses |
|---|---|
| OpenAI itself, Azure | fields that are none of its API; `max_tokens` for gpt-5 and the o-models |
| Gemini, Mistral, Groq | fields that are none of their APIs |

OpenAI's API reference of chat completions calls `max_tokens` deprecated in favour of `max_completion_tokens`, which all
its chat models take; other servers (vLLM, llama-server, Ollama, Mistral) know `max_tokens` for certain. Its models that
reason take no other temperature than 1 either. What other servers call further options of sampling, and the clients of
Ollama and Anthropic set, none of these knows; an answer without is better than none.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

import orjson

from fireside.core.openai_wire import json_object

_CHAT: Final = "/v1/chat/completions"
_GENERATING: Final = frozenset({_CHAT, "/v1/completions"})
_OF_OTHERS: Final = (
    "chat_template_kwargs",
    "top_k",
    "min_p",
    "typical_p",
    "repeat_last_n",
    "repeat_penalty",
)
_REASONS: Final = re.compile(r"(?:^|/)(?:o\d|gpt-5(?!-chat))")


@dataclass(frozen=True, slots=True)
class Manners:
    """How a server wants its requests.

    Attributes:
        renamed: Fields of chat completions, and what they are called there.
        left_out: Fields that it refuses.
    """

    renamed: Mapping[str, str] = field(default_factory=lambda: dict[str, str]())
    left_out: tuple[str, ...] = ()

    def suited(self, path: str, body: bytes) -> bytes:
        """A request as the server takes it: the very bytes, unless they name one of the fields."""
        if path not in _GENERATING or not any(b'"%s"' % name.encode() in body for name in self._names):
            return body
        try:
            asked = json_object(orjson.loads(body))
        except orjson.JSONDecodeError:
            return body  # its server says so
        wanted = self._wanted(path, asked)
        return body if list(wanted) == list(asked) else orjson.dumps(wanted)

    @property
    def _names(self) -> tuple[str, ...]:
        return (*self.renamed, *self.left_out)

    def _wanted(self, path: str, asked: dict[str, Any]) -> dict[str, Any]:
        known = {name: value for name, value in asked.items() if name not in self.left_out}
        if path != _CHAT:
            return known
        renamed = {old: new for old, new in self.renamed.items() if new not in known}
        return {renamed.get(name, name): value for name, value in known.items()}


LENIENT: Final = Manners()
"""Takes what it does not know."""
OF_OPENAI: Final = Manners(renamed={"max_tokens": "max_completion_tokens"}, left_out=_OF_OTHERS)
STRICT: Final = Manners(left_out=_OF_OTHERS)
_HOSTS: Final[Mapping[str, Manners]] = {
    "api.openai.com": OF_OPENAI,
    "openai.azure.com": OF_OPENAI,
    "generativelanguage.googleapis.com": STRICT,
    "api.mistral.ai": STRICT,
    "api.groq.com": STRICT,
}
"""With all below them."""


@lru_cache(maxsize=256)
def manners_of(host: str) -> Manners:
    """How the server at a host wants its requests."""
    host = host.lower().rstrip(".")
    return next((found for name, found in _HOSTS.items() if host == name or host.endswith(f".{name}")), LENIENT)


def takes_temperature(model: str) -> bool:
    """Whether a model can be told how freely to choose its words; OpenAI's that reason refuse to be."""
    return _REASONS.search(model) is None
