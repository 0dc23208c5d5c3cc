"""Whether the node lives, is ready, and how it fares: for orchestrators, for Prometheus, for administrators."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from fireside.contracts import node
from fireside.contracts.base import PUBLIC, Nothing
from fireside.contracts.permissions import ADMIN_READ, route_access
from fireside.runtime.context import Context
from fireside.runtime.health import Check
from fireside.services.gateway.probes import READINESS, Probes

_PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


def probe_routes(probes: Probes) -> APIRouter:
    """The routes that look at this node."""
    routes = APIRouter(tags=["Health"])
    everyone = route_access(PUBLIC)

    @routes.get("/health/live", openapi_extra=everyone)
    async def live() -> dict[str, str]:
        """The process works."""
        return {"status": "ok"}

    @routes.get("/health/ready", openapi_extra=everyone)
    async def ready() -> JSONResponse:
        """Whether the node can serve, with the state of every part; 503 when it cannot."""
        health = await probes.health()
        checks = {name: _rendered(check) for name, check in sorted(health.checks.items())}
        body = {"status": READINESS[health.status], "checks": checks}
        return JSONResponse(body, status_code=200 if health.is_ready else 503)

    @routes.get("/metrics", openapi_extra=everyone, response_class=Response)
    async def metrics() -> Response:
        """Metrics in Prometheus' text format; they name actions and routes, never people or texts."""
        return Response(probes.metrics(), media_type=_PROMETHEUS)

    return routes


def node_routes() -> APIRouter:
    """The routes that look at the cluster."""
    routes = APIRouter(tags=["Health"])

    @routes.get("/api/v1/nodes", openapi_extra=route_access(ADMIN_READ))
    async def nodes(request: Request) -> dict[str, Any]:
        """Every node of the cluster: its services, its load, the age of its last heartbeat, how well it is."""
        context: Context = request.state.context
        context.identity.require(ADMIN_READ)
        cluster = await context.as_service("gateway").call(node.CLUSTER, Nothing())
        return {"items": [each.model_dump(mode="json") for each in cluster.nodes], "next_cursor": None}

    return routes


def _rendered(check: Check) -> dict[str, Any]:
    return {"status": check.status, "detail": check.detail, "latency_ms": check.latency_ms}
