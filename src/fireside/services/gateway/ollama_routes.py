"""`/api`: what clients of Ollama speak."""

import time
from collections.abc import AsyncGenerator, Callable
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import BaseModel

from fireside.contracts import explore
from fireside.contracts.base import PUBLIC
from fireside.contracts.explore import CopyModel, ModelRef
from fireside.contracts.permissions import MODELS_MANAGE, MODELS_USE, route_access
from fireside.core.errors import UpstreamError
from fireside.runtime.context import Context
from fireside.services.gateway import ollama_dialect as dialect
from fireside.services.gateway import ollama_requests as requests
from fireside.services.gateway.answering import answer, caller
from fireside.services.gateway.offered import Offered, count_words, embed, offered, rows_of
from fireside.services.gateway.ollama_pulling import begin_pull, progress_of_pull
from fireside.services.gateway.request_bodies import json_body, read_json, read_request

_NAMED: dict[str, Any] = {"model": "fireside"}
_CHAT: dict[str, Any] = {**_NAMED, "messages": [{"role": "user", "content": "When does the desk close?"}]}
_PROMPT: dict[str, Any] = {**_NAMED, "prompt": "When does the desk close?"}
_EMBED: dict[str, Any] = {"model": "all-minilm-l6-v2", "input": ["a cat sits"]}
_EMBED_ONE: dict[str, Any] = {"model": "all-minilm-l6-v2", "prompt": "a cat sits"}
_COPY: dict[str, Any] = {"source": "llama3.2", "destination": "assistant"}


def routes() -> APIRouter:
    """The Ollama-compatible routes."""
    routes = APIRouter(prefix="/api", tags=["Ollama-compatible"])
    for path, handler, access in (("/version", get_version, PUBLIC), ("/tags", list_models, MODELS_USE)):
        extra = route_access(access)
        routes.add_api_route(path, handler, openapi_extra=extra)
        routes.add_api_route(path, handler, methods=["HEAD"], openapi_extra=extra, include_in_schema=False)
    routes.add_api_route("/ps", list_running, openapi_extra=route_access(MODELS_USE))

    def add(path: str, handler: Callable[..., Any], shape: tuple[type[BaseModel], Any], **options: Any) -> None:
        access = options.get("access", MODELS_USE)
        extra = route_access(access) | json_body(shape[0], example=shape[1])
        routes.add_api_route(path, handler, methods=[options.get("method", "POST")], openapi_extra=extra)

    add("/show", show_model, (requests.Named, _NAMED))
    add("/chat", chat, (requests.ChatRequest, _CHAT))
    add("/generate", generate, (requests.GenerateRequest, _PROMPT))
    add("/embed", embed_texts, (requests.Embed, _EMBED))
    add("/embeddings", embed_text, (requests.EmbedOne, _EMBED_ONE))
    add("/pull", pull_model, (requests.Pull, _NAMED), access=MODELS_MANAGE)
    add("/copy", copy_model, (requests.Copy, _COPY), access=MODELS_MANAGE)
    add("/delete", delete_model, (requests.Named, _NAMED), access=MODELS_MANAGE, method="DELETE")
    return routes


async def get_version() -> dict[str, str]:
    """The release of Ollama whose interface this is."""
    return {"version": dialect.API_VERSION}


async def list_models(request: Request) -> dict[str, Any]:
    """The pipeline, and every model this caller may use."""
    found = await offered(caller(request))
    return {"models": [dialect.model_card(name, found.find_profile(name)) for name in found.names]}


async def list_running(request: Request) -> dict[str, Any]:
    """The models that are loaded on machines of Fireside."""
    models = (await offered(caller(request))).models
    return {"models": [dialect.running_card(model) for model in models if model.state == "ready"]}


async def show_model(request: Request) -> dict[str, Any]:
    """Facts about one model."""
    _, name, found = await _find(request)
    return dialect.model_facts(name, found.find_profile(name), found.find_embedder(name))


async def chat(request: Request) -> Response:
    """Go on with a conversation, as a stream unless told otherwise."""
    asked = read_request(requests.ChatRequest, read_json(await request.body()))
    name = await _local_name(caller(request), asked.model)
    writer = dialect.AnswerWriter(asked.model, "chat")
    if not asked.messages:
        return await _loaded(request, name, writer)
    return await answer(request, asked.asked(name), writer)


async def generate(request: Request) -> Response:
    """Answer a prompt, as a stream unless told otherwise."""
    asked = read_request(requests.GenerateRequest, read_json(await request.body()))
    name = await _local_name(caller(request), asked.model)
    writer = dialect.AnswerWriter(asked.model, "generate")
    if not asked.prompt:
        return await _loaded(request, name, writer)
    return await answer(request, asked.asked(name), writer)


async def embed_texts(request: Request) -> dict[str, Any]:
    """Turn texts into vectors."""
    began_ns = time.perf_counter_ns()
    asked = read_request(requests.Embed, read_json(await request.body()))
    context = caller(request)
    name = await _local_name(context, asked.model)
    if not asked.texts:
        (await offered(context)).require(name)
        return dialect.embeddings_body(asked.model, [], tokens=0, began_ns=began_ns)
    made = await embed(context, name, asked.texts, dimensions=asked.dimensions)
    tokens = count_words(asked.texts)
    return dialect.embeddings_body(asked.model, rows_of(made), tokens=tokens, began_ns=began_ns)


async def embed_text(request: Request) -> dict[str, Any]:
    """Turn one text into a vector, the older way."""
    asked = read_request(requests.EmbedOne, read_json(await request.body()))
    context = caller(request)
    made = await embed(context, await _local_name(context, asked.model), [asked.prompt])
    return {"embedding": rows_of(made)[0]}


async def pull_model(request: Request) -> Response:
    """Install a model, unless it is there already; the installation goes on when its client leaves."""
    asked = read_request(requests.Pull, read_json(await request.body()))
    context = caller(request)
    name = await _local_name(context, asked.named())
    lines = _there() if name in (await offered(context)).names else None
    if lines is None:
        lines = progress_of_pull(context, await begin_pull(context, name))
    if asked.stream:
        return StreamingResponse((dialect.json_line(line) async for line in lines), 200, media_type=dialect.NDJSON)
    last = [line async for line in lines][-1]
    if "error" in last:
        raise UpstreamError(last["error"])
    return JSONResponse(last)


async def copy_model(request: Request) -> None:
    """Give an installed model a second name."""
    asked = read_request(requests.Copy, read_json(await request.body()))
    context = caller(request)
    source, to = await _local_name(context, asked.source), asked.destination.removesuffix(dialect.DEFAULT_TAG)
    await context.call(explore.COPY, read_request(CopyModel, {"name": source, "to": to}))


async def delete_model(request: Request) -> None:
    """Remove an installed model."""
    asked = read_request(requests.Named, read_json(await request.body()))
    context = caller(request)
    await context.call(explore.REMOVE, ModelRef(name=await _local_name(context, asked.named())))


async def _there() -> AsyncGenerator[dict[str, Any]]:
    yield {"status": "success"}


async def _find(request: Request) -> tuple[dict[str, Any], str, Offered]:
    """The request's body, its model's name here, and all that is offered.

    Raises:
        NotFoundError: The model is not among it.
    """
    body = read_json(await request.body())
    context = caller(request)
    name = await _local_name(context, read_request(requests.Named, body).named())
    found = await offered(context)
    found.require(name)
    return body, name, found


async def _local_name(context: Context, name: str) -> str:
    """The name that a model has here; Ollama's clients may add a default tag to it."""
    if not name.endswith(dialect.DEFAULT_TAG) or name in (await offered(context)).names:
        return name
    return name.removesuffix(dialect.DEFAULT_TAG)


async def _loaded(request: Request, name: str, writer: dialect.AnswerWriter) -> Response:
    (await offered(caller(request))).require(name)
    return JSONResponse(writer.loaded())
