"""`/v1/messages`: what clients of Anthropic's API speak."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from fireside.contracts.permissions import MODELS_USE, route_access
from fireside.services.gateway import anthropic_requests as requests
from fireside.services.gateway.answering import answer, caller, unless_left
from fireside.services.gateway.anthropic_dialect import MessageWriter
from fireside.services.gateway.counting import prompt_tokens
from fireside.services.gateway.request_bodies import json_body, read_json, read_request

_QUESTION = [{"role": "user", "content": "When does the desk close?"}]
_EXAMPLE: dict[str, Any] = {"model": "fireside", "max_tokens": 1000, "messages": _QUESTION}
_COUNT_EXAMPLE: dict[str, Any] = {"model": "fireside", "messages": _QUESTION}


def routes() -> APIRouter:
    """The Anthropic-compatible routes."""
    routes = APIRouter(prefix="/v1/messages", tags=["Anthropic-compatible"])
    for path, handler, model, example in (
        ("", create_message, requests.MessagesRequest, _EXAMPLE),
        ("/count_tokens", count_tokens, requests.CountTokensRequest, _COUNT_EXAMPLE),
    ):
        extra = route_access(MODELS_USE) | json_body(model, example=example)
        routes.add_api_route(path, handler, methods=["POST"], openapi_extra=extra)
    return routes


async def create_message(request: Request) -> Response:
    """Answer a conversation, in one piece or as a stream."""
    asked = read_request(requests.MessagesRequest, read_json(await request.body())).asked()
    return await answer(request, asked, MessageWriter(asked.model))


async def count_tokens(request: Request) -> dict[str, Any]:
    """How many tokens a conversation is for its model."""
    asked = read_request(requests.CountTokensRequest, read_json(await request.body()))
    counting = prompt_tokens(caller(request), asked.model, requests.prompt_body(asked))
    return {"input_tokens": await unless_left(request, counting)}
