"""`/api/v1/usage` and `/api/v1/admin/usage`: what was used of models, and what is left."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import AwareDatetime

from fireside.contracts import usage
from fireside.contracts.permissions import route_access
from fireside.runtime.context import Context

From = Annotated[AwareDatetime | None, Query(alias="from", description="30 days before the end when left out.")]
To = Annotated[AwareDatetime | None, Query(description="Now when left out.")]
GroupBy = Annotated[usage.GroupBy, Query()]


def routes() -> APIRouter:
    """The routes of usage."""
    routes = APIRouter(prefix="/api/v1", tags=["Usage"])
    routes.get("/usage", openapi_extra=route_access(usage.OWN.access))(own_usage)
    routes.put("/usage/opt-out", openapi_extra=route_access(usage.OPT_OUT.access))(opt_out)
    routes.get("/admin/usage", openapi_extra=route_access(usage.REPORT.access))(usage_report)
    return routes


def _caller(request: Request) -> Context:
    context: Context = request.state.context
    return context


async def own_usage(request: Request, since: From = None, to: To = None, group_by: GroupBy = "model") -> usage.OwnUsage:
    """What you used, and what is left of each limit that holds for you, with the time when it begins anew."""
    return await _caller(request).call(usage.OWN, usage.UsageQuery(since=since, until=to, group_by=group_by))


async def opt_out(request: Request, body: usage.OptOut) -> usage.OptOut:
    """Have your usage shown to administrators only together with that of others who opted out, or by name again.

    It is counted all the same, for limits and for sums.
    """
    return await _caller(request).call(usage.OPT_OUT, body)


async def usage_report(
    request: Request, since: From = None, to: To = None, group_by: GroupBy = "model"
) -> usage.UsageReport:
    """What everybody used, in whole hours (UTC), by user, model, day or API key."""
    return await _caller(request).call(usage.REPORT, usage.UsageQuery(since=since, until=to, group_by=group_by))
