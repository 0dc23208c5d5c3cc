"""What is known of a call before it is made; worked out only where a limit holds, or the server tells no usage."""

from collections.abc import Callable
from typing import Any, cast

import orjson

from fireside.contracts.inference import Chat, Forward
from fireside.core.openai_wire import json_object
from fireside.runtime.metering import BYTES_PER_TOKEN, Expected
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
        body = _body(request)
        return Expected(
            _tokens_given(body) * BYTES_PER_TOKEN or len(request.body),
            _max_tokens(body) if request.path in _WITH_ANSWERS else 0,
            model.context_tokens,
            prompts=_prompts(body),
            answers_to_each=max(1, _count(body.get("n")), _count(body.get("best_of"))),
        )

    return expected


def _body(request: Forward) -> dict[str, Any]:
    try:
        return json_object(orjson.loads(request.body))
    except orjson.JSONDecodeError:
        return {}


def _max_tokens(body: dict[str, Any]) -> int | None:
    """Longest answer that a request allows; None when it does not say."""
    return max(_count(body.get("max_completion_tokens")), _count(body.get("max_tokens"))) or None


def _prompts(body: dict[str, Any]) -> int:
    """How many texts a request has, each of which has the model's window to itself; a list of numbers is one."""
    return sum(not isinstance(text, int) for text in _texts(body)) or 1


def _tokens_given(body: dict[str, Any]) -> int:
    """How many tokens a request has that gives them by their numbers: one list of these, or several; else 0."""
    texts = _texts(body)
    lists = [cast("list[Any]", text) for text in texts if isinstance(text, list)]
    return sum(isinstance(token, int) for tokens in (texts, *lists) for token in tokens)


def _texts(body: dict[str, Any]) -> list[Any]:
    texts = body.get("prompt") or body.get("input") or body.get("documents")
    return cast("list[Any]", texts) if isinstance(texts, list) else []


def _count(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 0
