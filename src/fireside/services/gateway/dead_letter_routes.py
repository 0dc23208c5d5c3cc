"""`/api/v1/admin/dead-letters`: what the services gave up, under one roof."""

from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request

from fireside.contracts.jobs import MANAGE_JOBS, DeadLetter, DeadLetterRef, ListDeadLetters, jobs_of
from fireside.contracts.permissions import route_access
from fireside.core.errors import NotFoundError
from fireside.runtime.context import Context
from fireside.services.gateway.job_routes import cursor_after, place_of

_ACCESS = route_access(MANAGE_JOBS)


def routes(services: Sequence[str]) -> APIRouter:
    """The routes of dead letters.

    Args:
        services: Names of the services that have jobs or handle facts.
    """
    routes = APIRouter(prefix="/api/v1/admin/dead-letters", tags=["Jobs"])

    @routes.get("", openapi_extra=_ACCESS)
    async def list_dead_letters(
        request: Request,
        redriven: bool = False,
        limit: Annotated[int, Query(ge=1, le=100)] = 50,
        cursor: Annotated[str | None, Query(max_length=500)] = None,
    ) -> dict[str, Any]:
        """Jobs and facts that were given up, and messages that are no facts, one service after the other."""
        context: Context = request.state.context
        name, inner = place_of(cursor, services)
        asked = ListDeadLetters(redriven=redriven, cursor=inner, limit=limit)
        page = await context.call(jobs_of(name).dead, asked)
        items = [{"service": name, **letter.model_dump(mode="json")} for letter in page.letters]
        return {"items": items, "next_cursor": cursor_after(name, page.next_cursor, services)}

    @routes.post("/{letter_id}/redrive", openapi_extra=_ACCESS)
    async def redrive_dead_letter(request: Request, letter_id: UUID) -> DeadLetter:
        """Drive it again, once."""
        context: Context = request.state.context
        for name in services:
            try:
                return await context.call(jobs_of(name).redrive, DeadLetterRef(id=letter_id))
            except NotFoundError:
                continue
        raise NotFoundError("there is no such dead letter, or it was driven again already", id=str(letter_id))

    return routes
