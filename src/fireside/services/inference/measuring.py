"""What is known of a call before it is made; worked out only where a limit holds, or the server tells no usage."""

from collections.abc import Callable
from typing import Any

import orjson

from fireside.contracts.inference import Chat, Forward
from fireside.core.openai_wire import json_object
from fireside.runtime.metering import Expected
from fireside.services.inference.model import ServedModel

_WITH_ANSWERS = frozenset({"/v1/chat/completions", "/v1/completions"})
_BYTES_PER_MESSAGE = 12
"""What roles and their marks add to a message."""


def prompted_call(request: Chat, model: ServedModel) -> Callable[[], Expected]:
    """A call of the pipeline."""

    def expected() -> Expected:
        size = sum(len(message.content.encode()) + _BYTES_PER_MESSAGE for message in request.messages)
        return Expected(size, request.max_tokens, model.context_tokens)

    return expected


def forwarded_call(request: Forward, model: ServedModel) -> Callable[[], Expected]:
    """A request that is passed through."""

    def expected() -> Expected:
        return Expected(len(request.body), _max_tokens(request), model.context_tokens)

    return expected


def _max_tokens(request: Forward) -> int | None:
    """Longest answers that a request allows, together; 0 where answers are none, None when it does not say."""
    if request.path not in _WITH_ANSWERS:
        return 0
    try:
        body = json_object(orjson.loads(request.body))
    except orjson.JSONDecodeError:
        return None
    wanted = max(_count(body.get("max_completion_tokens")), _count(body.get("max_tokens")))
    return wanted * max(1, _count(body.get("n"))) if wanted else None


def _count(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 0
