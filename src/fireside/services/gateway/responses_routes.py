"""`/v1/responses`: OpenAI's newer interface, which keeps what was said."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from fireside.contracts.permissions import MODELS_USE, route_access
from fireside.contracts.stored_responses import DELETE, GET, KEEP, THREAD, ResponseRef, ResponseThread, StoredResponse
from fireside.core.errors import NotFoundError
from fireside.runtime.context import Context
from fireside.services.gateway.answering import caller, completion_events, send
from fireside.services.gateway.completions import Completion, CompletionEvent, Ended
from fireside.services.gateway.request_bodies import json_body, read_json, read_request
from fireside.services.gateway.responses_dialect import ResponseWriter, input_page
from fireside.services.gateway.responses_requests import (
    PreviousResponseNotFoundError,
    ResponsesRequest,
    input_items,
    response_id_of,
)

_EXAMPLE: dict[str, Any] = {"model": "fireside", "input": "When does the desk close?"}


def routes() -> APIRouter:
    """The routes of responses."""
    routes = APIRouter(prefix="/v1/responses", tags=["OpenAI-compatible"])
    use_models = route_access(MODELS_USE)
    extra = use_models | json_body(ResponsesRequest, example=_EXAMPLE)
    routes.add_api_route("", create_response, methods=["POST"], openapi_extra=extra)
    one = "/{response_id}"
    routes.add_api_route(one, get_response, methods=["GET"], openapi_extra=use_models)
    routes.add_api_route(one, delete_response, methods=["DELETE"], openapi_extra=use_models)
    routes.add_api_route(f"{one}/input_items", list_input_items, methods=["GET"], openapi_extra=use_models)
    return routes


async def create_response(request: Request) -> Response:
    """Answer, in one piece or as a stream, and keep the answer unless told otherwise."""
    context = caller(request)
    wanted = read_request(ResponsesRequest, read_json(await request.body()))
    thread = await _thread(context, wanted)
    asked, writer = wanted.asked(thread), ResponseWriter(wanted)
    events = completion_events(request, asked)
    if wanted.store is not False:
        previous_id = thread.items[-1].id if thread else None
        events = _kept(context, events, writer, wanted, previous_id=previous_id)
    return await send(request, events, writer, stream=asked.stream)


async def get_response(request: Request, response_id: str) -> dict[str, Any]:
    """A response that was kept."""
    return (await caller(request).call(GET, _ref(response_id))).response


async def delete_response(request: Request, response_id: str) -> dict[str, Any]:
    """Delete a response; those that go on from it stay."""
    await caller(request).call(DELETE, _ref(response_id))
    return {"id": response_id, "object": "response", "deleted": True}


async def list_input_items(
    request: Request,
    response_id: str,
    order: Annotated[Literal["asc", "desc"], Query()] = "desc",
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    after: Annotated[str | None, Query()] = None,
) -> dict[str, Any]:
    """A page of the items that a response was asked with, and of those of the responses that it goes on from."""
    thread = await caller(request).call(THREAD, _ref(response_id))
    *before, last = thread.items
    items = [item for kept in before for item in (*kept.input, *kept.response["output"])] + [*last.input]
    return input_page(items if order == "asc" else items[::-1], limit=limit, after=after)


async def _thread(context: Context, wanted: ResponsesRequest) -> ResponseThread | None:
    if wanted.previous_response_id is None:
        return None
    try:
        return await context.call(THREAD, _ref(wanted.previous_response_id))
    except NotFoundError as error:
        raise PreviousResponseNotFoundError(param="previous_response_id") from error


async def _kept(
    context: Context,
    events: AsyncGenerator[CompletionEvent, None],
    writer: ResponseWriter,
    wanted: ResponsesRequest,
    *,
    previous_id: UUID | None,
) -> AsyncGenerator[CompletionEvent, None]:
    """The same events; the answer is kept before its end is told, so that the client can go on from it at once."""
    completion = Completion()
    async with aclosing(events):
        async for event in events:
            completion.add(event)
            if isinstance(event, Ended):
                kept = StoredResponse(
                    id=writer.id,
                    previous_id=previous_id,
                    created_at=datetime.now(UTC),
                    response=writer.whole(completion),
                    input=input_items(wanted),
                )
                await context.call(KEEP, kept)
            yield event


def _ref(response_id: str) -> ResponseRef:
    return ResponseRef(response_id=response_id_of(response_id))
