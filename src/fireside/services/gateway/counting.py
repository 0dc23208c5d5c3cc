"""How many tokens a prompt is, counted by the model that would read it."""

from typing import Any

import orjson

from fireside.contracts import inference
from fireside.core.errors import InvalidInputError, UnavailableError
from fireside.runtime.context import Context
from fireside.services.gateway.answering import forwarded
from fireside.services.gateway.completions import CHAT_COMPLETIONS, usage_of
from fireside.services.gateway.openai_dialect import PIPELINE_MODEL

_BYTES_PER_TOKEN = 4
"""What English text comes to with the vocabularies of most models."""


async def prompt_tokens(context: Context, model: str, body: dict[str, Any]) -> int:
    """Count the tokens of a chat completion request.

    llama-server counts without generating; any other server is asked for one token and says what it read. For the
    pipeline the first model counts the conversation alone: which documents come to it, only an answer shows. It answers
    without any model too, and then the count is an estimate.

    Raises:
        UnavailableError: There is no model to ask.
        InvalidInputError: It refuses the request.
    """
    if model == PIPELINE_MODEL:
        try:
            model = (await context.call(inference.PROFILE, inference.ProfileQuery())).name
        except UnavailableError:
            return max(1, len(orjson.dumps(body["messages"])) // _BYTES_PER_TOKEN)
    body = body | {"model": model}
    try:
        counted = await forwarded(context, f"{CHAT_COMPLETIONS}/input_tokens", model, body)
        return int(counted["input_tokens"])
    except (InvalidInputError, KeyError):  # the server knows no such path
        return usage_of(await forwarded(context, CHAT_COMPLETIONS, model, body | {"max_tokens": 1})).prompt_tokens
