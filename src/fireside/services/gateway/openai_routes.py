"""`/v1`: what clients of OpenAI's API speak. A plain model is passed through; `fireside` is the whole pipeline."""

from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from fireside.contracts import chat, embeddings, inference
from fireside.contracts.answer import Failed, Final, Token
from fireside.contracts.base import Nothing
from fireside.contracts.permissions import MODELS_USE, route_access
from fireside.core.errors import FiresideError, NotFoundError, UnavailableError, UpstreamError
from fireside.core.ids import new_id
from fireside.runtime.context import Context
from fireside.services.gateway import openai_dialect as dialect
from fireside.services.gateway.request_bodies import json_body

_SSE = "text/event-stream"
_STREAM_HEADERS = {"cache-control": "no-cache", "x-accel-buffering": "no"}
_COMPLETION_EXAMPLE = {"model": "fireside", "messages": [{"role": "user", "content": "When does the desk close?"}]}
_EMBEDDINGS_EXAMPLE = {"model": "all-minilm-l6-v2", "input": ["a cat sits"]}


def routes() -> APIRouter:
    """The OpenAI-compatible routes."""
    routes = APIRouter(prefix="/v1", tags=["OpenAI-compatible"])
    use_models = route_access(MODELS_USE)
    routes.add_api_route("/models", list_models, methods=["GET"], openapi_extra=use_models)
    routes.add_api_route("/models/{model}", get_model, methods=["GET"], openapi_extra=use_models)
    for path, handler, model, example in (
        ("/chat/completions", create_chat_completion, dialect.PipelineRequest, _COMPLETION_EXAMPLE),
        ("/embeddings", create_embeddings, dialect.EmbeddingsRequest, _EMBEDDINGS_EXAMPLE),
    ):
        extra = use_models | json_body(model, example=example)
        routes.add_api_route(path, handler, methods=["POST"], openapi_extra=extra)
    return routes


def _caller(request: Request) -> Context:
    context: Context = request.scope["state"]["context"]
    return context


async def list_models(request: Request) -> dict[str, Any]:
    """The pipeline, and every model this caller may use."""
    return {"object": "list", "data": [dialect.model_card(name) for name in await _model_names(_caller(request))]}


async def get_model(request: Request, model: str) -> dict[str, Any]:
    """One model."""
    if model not in await _model_names(_caller(request)):
        raise NotFoundError(f"there is no model {model!r}", model=model)
    return dialect.model_card(model)


async def _model_names(context: Context) -> list[str]:
    names = [dialect.PIPELINE_MODEL]
    with suppress(UnavailableError):  # the pipeline answers without either
        names += [model.name for model in (await context.call(inference.MODELS, Nothing())).items]
    with suppress(UnavailableError):
        names.append((await context.as_service("gateway").call(embeddings.MODEL, Nothing())).name)
    return names


async def create_chat_completion(request: Request) -> Response:
    """Answer a conversation, in one piece or as a stream."""
    context, body = _caller(request), await request.body()
    envelope = dialect.read_envelope(body)
    if envelope.is_pipeline:
        return await _answer(context, dialect.read_pipeline_request(envelope))
    return await _forward(context, inference.Forward(path="/v1/chat/completions", model=envelope.model, body=body))


async def _forward(context: Context, request: inference.Forward) -> Response:
    stream = context.stream(inference.FORWARD, request)
    head = await anext(stream, None)
    if not isinstance(head, inference.ForwardHead):
        raise UpstreamError("the model's server answered without a head")
    if head.media_type.startswith(_SSE):
        return StreamingResponse(_bytes(stream), head.status, _STREAM_HEADERS, head.media_type)
    async with aclosing(stream):
        content = b"".join([item.data async for item in stream if isinstance(item, inference.ForwardChunk)])
    return Response(content, head.status, media_type=head.media_type)


async def _bytes(stream: Any) -> AsyncIterator[bytes]:
    try:
        async with aclosing(stream):
            async for item in stream:
                yield item.data
    except FiresideError as error:  # what came before may have ended within a line
        yield b"\n\n" + dialect.failed_chunk(error.code, error.message) + dialect.DONE


async def _answer(context: Context, request: dialect.PipelineRequest) -> Response:
    turns, writer = request.turns(), dialect.CompletionWriter(f"chatcmpl-{new_id().hex}")
    if request.stream:
        with_usage = bool((request.stream_options or {}).get("include_usage"))
        events = _answer_chunks(context, turns, writer, with_usage=with_usage)
        return StreamingResponse(events, 200, _STREAM_HEADERS, _SSE)
    async with aclosing(context.stream(chat.COMPLETE, turns)) as answer:
        async for event in answer:
            if isinstance(event, Failed):
                raise UpstreamError(event.detail or event.title)
            if isinstance(event, Final):
                return JSONResponse(writer.whole(event))
    raise UpstreamError("the answer ended without its text")


async def _answer_chunks(
    context: Context, turns: chat.CompleteTurns, writer: dialect.CompletionWriter, *, with_usage: bool
) -> AsyncIterator[bytes]:
    yield writer.begin()
    try:
        async with aclosing(context.stream(chat.COMPLETE, turns)) as answer:
            async for event in answer:
                if isinstance(event, Token):
                    yield writer.text(event.text)
                elif isinstance(event, Final):
                    yield writer.end(event, with_usage=with_usage)
                elif isinstance(event, Failed):
                    yield dialect.failed_chunk(event.code, event.detail or event.title)
    except FiresideError as error:  # the head is out: an error can only be told inside the stream
        yield dialect.failed_chunk(error.code, error.message)
    yield dialect.DONE


async def create_embeddings(request: Request) -> JSONResponse:
    """Turn texts into vectors."""
    context = _caller(request)
    asked = dialect.read_embeddings_request(dialect.read_envelope(await request.body()))
    service = context.as_service("gateway")
    embedder = await service.call(embeddings.MODEL, Nothing())
    if asked.model != embedder.name:
        raise NotFoundError(
            f"there is no embedding model {asked.model!r} (there is: {embedder.name})", model=asked.model
        )
    made = await service.call(embeddings.EMBED, embeddings.EmbedTexts(texts=asked.texts))
    return JSONResponse(dialect.embeddings_body(made, encoding=asked.encoding_format, texts=asked.texts))
