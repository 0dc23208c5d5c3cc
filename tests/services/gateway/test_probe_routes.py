"""Probes: what orchestrators, Prometheus and administrators see of a node."""

from pathlib import Path

import pytest

from fireside.core.identity import ANONYMOUS
from fireside.runtime.health import Check, Health, HealthStatus
from fireside.services.gateway.probes import Probes
from tests.services.gateway.gateway_house import FakeInference, gateway, person


def probes(status: HealthStatus) -> Probes:
    async def health() -> Health:
        return Health(status, {"b.part": Check(status, "why", 1.5), "a.part": Check("ok")})

    return Probes(health=health, metrics=lambda: b"# TYPE fireside_calls counter\n")


@pytest.mark.requirement("O4")
@pytest.mark.parametrize(
    ("status", "code", "word"), [("ok", 200, "ready"), ("degraded", 200, "degraded"), ("failed", 503, "failed")]
)
async def test_readiness_names_every_part_and_refuses_only_when_nothing_can_be_served(
    tmp_path: Path, status: HealthStatus, code: int, word: str
) -> None:
    async with gateway(page=tmp_path, identity=ANONYMOUS, probes=probes(status)) as client:
        reply = await client.get("/health/ready")
        live = await client.get("/health/live")

    assert reply.status_code == code
    assert reply.json() == {
        "status": word,
        "checks": {
            "a.part": {"status": "ok", "detail": "", "latency_ms": None},
            "b.part": {"status": status, "detail": "why", "latency_ms": 1.5},
        },
    }
    assert live.status_code == 200, "a process that works is not restarted because a part of it does not"


@pytest.mark.requirement("O1")
async def test_metrics_are_prometheus_text(tmp_path: Path) -> None:
    async with gateway(page=tmp_path, identity=ANONYMOUS, probes=probes("ok")) as client:
        reply = await client.get("/metrics")

    assert reply.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert reply.content == b"# TYPE fireside_calls counter\n"


async def test_administrators_see_the_nodes_and_their_services() -> None:
    async with gateway(FakeInference(), identity=person("admin")) as client:
        reply = await client.get("/api/v1/nodes")

    (node,) = reply.json()["items"]
    assert node["id"] == "test-node"
    assert "inference" in node["services"]


@pytest.mark.parametrize(("role", "status"), [("user", 403), (None, 401)])
async def test_others_do_not(role: str | None, status: int) -> None:
    async with gateway(identity=person(role) if role else ANONYMOUS) as client:
        assert (await client.get("/api/v1/nodes")).status_code == status
