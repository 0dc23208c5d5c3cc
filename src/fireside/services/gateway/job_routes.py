"""`/api/v1/jobs`: the jobs of every service under one roof. A job is found by asking each service that has jobs."""

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse

from fireside.contracts.base import SIGNED_IN
from fireside.contracts.jobs import JobActions, JobRef, JobState, JobView, ListJobs, jobs_of
from fireside.contracts.permissions import route_access
from fireside.core.errors import InvalidInputError, NotFoundError
from fireside.core.ids import JobId
from fireside.runtime.context import Context
from fireside.services.gateway.job_following import changes_of

_ACCESS = route_access(SIGNED_IN)
_STREAM_HEADERS = {"cache-control": "no-cache", "x-accel-buffering": "no"}


def routes(services: Sequence[str]) -> APIRouter:
    """The routes of jobs.

    Args:
        services: Names of the services that have jobs.
    """
    routes = APIRouter(prefix="/api/v1/jobs", tags=["Jobs"])
    desk = _Desk(services)
    _add_looking(routes, desk)
    _add_steering(routes, desk)
    return routes


def _add_looking(routes: APIRouter, desk: "_Desk") -> None:
    @routes.get("", openapi_extra=_ACCESS)
    async def list_jobs(
        request: Request,
        kind: Annotated[str | None, Query(max_length=100)] = None,
        state: JobState | None = None,
        everyone: bool = False,
        limit: Annotated[int, Query(ge=1, le=100)] = 20,
        cursor: Annotated[str | None, Query(max_length=500)] = None,
    ) -> dict[str, Any]:
        """Your jobs, newest first; of everyone for managers of jobs."""
        asked = ListJobs(kind=kind, state=state, everyone=everyone, limit=limit)
        return await desk.page(request.state.context, asked, cursor)

    @routes.get("/{job_id}", openapi_extra=_ACCESS)
    async def get_job(request: Request, job_id: JobId) -> JobView:
        """One job."""
        return (await desk.find(request.state.context, job_id))[1]

    @routes.get("/{job_id}/events", openapi_extra=_ACCESS)
    async def job_events(request: Request, job_id: JobId) -> StreamingResponse:
        """A job's progress as server-sent events until it ends."""
        context: Context = request.state.context
        actions, view = await desk.find(context, job_id)
        return StreamingResponse(_events(context, actions, view), 200, _STREAM_HEADERS, "text/event-stream")


def _add_steering(routes: APIRouter, desk: "_Desk") -> None:
    @routes.post("/{job_id}/cancel", openapi_extra=_ACCESS)
    async def cancel_job(request: Request, job_id: JobId) -> JobView:
        """Stop a job; one that has ended stays as it is."""
        context: Context = request.state.context
        actions, _ = await desk.find(context, job_id)
        return await context.call(actions.cancel, JobRef(id=job_id))

    @routes.post("/{job_id}/retry", openapi_extra=_ACCESS)
    async def retry_job(request: Request, job_id: JobId) -> JobView:
        """Run a failed or cancelled job again."""
        context: Context = request.state.context
        actions, _ = await desk.find(context, job_id)
        return await context.call(actions.retry, JobRef(id=job_id))


class _Desk:
    """Finds jobs in the services that have them."""

    def __init__(self, services: Sequence[str]) -> None:
        self._actions = {name: jobs_of(name) for name in services}

    async def find(self, context: Context, job_id: JobId) -> tuple[JobActions, JobView]:
        """The job, and the actions of its service.

        Raises:
            NotFoundError: No service has it, or it is not the caller's.
        """
        for actions in self._actions.values():
            try:
                return actions, await context.call(actions.get, JobRef(id=job_id))
            except NotFoundError:
                continue
        raise NotFoundError("there is no such job", job_id=str(job_id))

    async def page(self, context: Context, asked: ListJobs, cursor: str | None) -> dict[str, Any]:
        """One page, the services one after the other; those without any are passed by."""
        name, inner = place_of(cursor, list(self._actions))
        page = await context.call(self._actions[name].list, asked.model_copy(update={"cursor": inner}))
        following = cursor_after(name, page.next_cursor, list(self._actions))
        if not page.jobs and following:
            return await self.page(context, asked, following)
        return {"items": [job.model_dump(mode="json") for job in page.jobs], "next_cursor": following}


def place_of(cursor: str | None, services: Sequence[str]) -> tuple[str, str | None]:
    """The service that a cursor is in, and that service's own cursor; the first service where there is none.

    Raises:
        InvalidInputError: It is none of `cursor_after`.
    """
    name, _, inner = cursor.partition(":") if cursor else (services[0], "", "")
    if name not in services:
        raise InvalidInputError("cursor: not one that a page gave", cursor=cursor)
    return name, inner or None


def cursor_after(service: str, inner: str | None, services: Sequence[str]) -> str | None:
    """Where the next page begins: in the service while it has more, then in the one after it; None after the last."""
    if inner:
        return f"{service}:{inner}"
    following = services[services.index(service) + 1 :]
    return f"{following[0]}:" if following else None


async def _events(context: Context, actions: JobActions, found: JobView) -> AsyncIterator[bytes]:
    number, view = 0, found
    async with aclosing(changes_of(context, actions, found)) as views:
        async for view in views:
            number += 1
            yield _event(number, "progress", view)
    yield _event(number + 1, "done", view)


def _event(number: int, name: str, view: JobView) -> bytes:
    data = orjson.dumps(view.model_dump(mode="json"))
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (number, name.encode(), data)
