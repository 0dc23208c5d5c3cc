"""`/v1`: what clients of OpenAI's API speak. A plain model is passed through; `fireside` is the whole pipeline."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from fireside.contracts import inference
from fireside.contracts.permissions import MODELS_USE, route_access
from fireside.core.errors import InvalidInputError, UnavailableError
from fireside.services.gateway import answering
from fireside.services.gateway import openai_dialect as dialect
from fireside.services.gateway.allowances import note_model
from fireside.services.gateway.answering import caller
from fireside.services.gateway.completions import Asked
from fireside.services.gateway.offered import count_words, embed, is_served, offered
from fireside.services.gateway.replies import ForwardedReply, JsonReply
from fireside.services.gateway.request_bodies import json_body, read_json, read_request
from fireside.services.gateway.rerank_dialect import RerankRequest, ranking_body

_COMPLETION_EXAMPLE = {"model": "fireside", "messages": [{"role": "user", "content": "When does the desk close?"}]}
_PROMPT_EXAMPLE = {"model": "smollm2-135m-instruct", "prompt": "Once upon a time"}
_RERANK_EXAMPLE = {"model": "all-minilm-l6-v2", "query": "pets", "documents": ["a cat sits", "annual report"]}
_EMBEDDINGS_EXAMPLE = {"model": "all-minilm-l6-v2", "input": ["a cat sits"]}


def routes() -> APIRouter:
    """The OpenAI-compatible routes."""
    routes = APIRouter(prefix="/v1", tags=["OpenAI-compatible"])
    use_models = route_access(MODELS_USE)
    routes.add_api_route("/models", list_models, methods=["GET"], openapi_extra=use_models)
    routes.add_api_route("/models/{model:path}", get_model, methods=["GET"], openapi_extra=use_models)
    for path, handler, model, example in (
        ("/chat/completions", create_chat_completion, dialect.PipelineRequest, _COMPLETION_EXAMPLE),
        ("/completions", create_completion, dialect.PromptRequest, _PROMPT_EXAMPLE),
        ("/embeddings", create_embeddings, dialect.EmbeddingsRequest, _EMBEDDINGS_EXAMPLE),
        ("/rerank", rank, RerankRequest, _RERANK_EXAMPLE),
    ):
        extra = use_models | json_body(model, example=example)
        routes.add_api_route(path, handler, methods=["POST"], openapi_extra=extra)
    return routes


async def list_models(request: Request) -> dict[str, Any]:
    """The pipeline, and every model this caller may use."""
    found = await offered(caller(request))
    return dialect.model_list(found.names, found.embedders)


async def get_model(request: Request, model: str) -> dict[str, Any]:
    """One model."""
    found = await offered(caller(request))
    found.require(model)
    return dialect.model_card(model, found.find_embedder(model))


async def create_chat_completion(request: Request) -> Response:
    """Answer a conversation, in one piece or as a stream."""
    body = await request.body()
    envelope = dialect.read_envelope(body)
    if not envelope.is_pipeline:
        return _forward(request, envelope, body)
    asked = read_request(dialect.PipelineRequest, envelope.body)
    with_usage = bool((asked.stream_options or {}).get("include_usage"))
    writer = dialect.CompletionWriter(with_usage=with_usage)
    return await answering.answer(request, Asked(asked.model, envelope.body, bool(asked.stream)), writer)


async def create_completion(request: Request) -> Response:
    """Go on with a prompt, as it is; the pipeline answers conversations only.

    Raises:
        InvalidInputError: The pipeline is asked.
    """
    body = await request.body()
    envelope = dialect.read_envelope(body)
    if envelope.is_pipeline:
        raise InvalidInputError(f"{envelope.model!r} answers at /v1/chat/completions", param="model")
    return _forward(request, envelope, body)


async def rank(request: Request) -> Response:
    """Rank texts by a query: by the embedding model, or by a model whose server ranks."""
    body = await request.body()
    asked = read_request(RerankRequest, read_json(body))
    context = caller(request)
    found = await offered(context)
    if found.find_profile(asked.model):
        return _forward(request, dialect.read_envelope(body), body)
    if found.embedder is None:
        raise UnavailableError("there is no embedding model at the moment")
    name = found.embedder if asked.model == dialect.PIPELINE_MODEL else asked.model
    texts = (asked.query, *asked.texts)
    made = await embed(context, name, texts)
    return JsonReply(ranking_body(asked, made, tokens=count_words(texts)))


def _forward(request: Request, envelope: dialect.Envelope, body: bytes) -> Response:
    """Pass a request to its model's server and the bytes of the reply back, unread."""
    note_model(request.scope, envelope.model)
    asked = inference.Forward(path=request.scope["path"], model=envelope.model, body=body, priority=envelope.priority)
    return ForwardedReply(caller(request).stream(inference.FORWARD, asked))


async def create_embeddings(request: Request) -> Response:
    """Turn texts into vectors."""
    body = await request.body()
    envelope = dialect.read_envelope(body)
    if await is_served(caller(request), envelope.model):  # what its server takes, it says itself
        return _forward(request, envelope, body)
    asked = read_request(dialect.EmbeddingsRequest, envelope.body)
    made = await embed(caller(request), asked.model, asked.texts, dimensions=asked.dimensions)
    return JsonReply(dialect.embeddings_body(made, encoding=asked.encoding_format, texts=asked.texts))
