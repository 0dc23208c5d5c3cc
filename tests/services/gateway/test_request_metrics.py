"""Every HTTP request is counted under its route."""

import httpx
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from fireside.runtime.metrics import Metrics
from fireside.services.gateway.direct import DirectApplication
from fireside.services.gateway.openai_routes import routes as openai_routes
from fireside.services.gateway.request_metrics import RequestMetrics


def an_application() -> FastAPI:
    app = FastAPI()

    @app.get("/things/{thing}")
    async def show(thing: str) -> str:
        return thing

    async def page(_: Request) -> Response:
        return PlainTextResponse("page")

    app.add_route("/start", page)
    return app


async def asked(app: FastAPI, *requests: tuple[str, str]) -> str:
    metrics = Metrics()
    transport = httpx.ASGITransport(RequestMetrics(app, metrics=metrics), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://fireside") as client:
        for method, path in requests:
            await client.request(method, path)
    return metrics.render().decode()


async def test_requests_are_counted_under_the_templates_of_their_routes() -> None:
    text = await asked(an_application(), ("GET", "/things/1"), ("GET", "/things/2"), ("GET", "/start"), ("POST", "/no"))

    assert 'fireside_http_requests_total{method="GET",route="/things/{thing}",status="200"} 2.0' in text
    assert 'fireside_http_requests_total{method="GET",route="page",status="200"} 1.0' in text
    assert 'fireside_http_requests_total{method="POST",route="none",status="404"} 1.0' in text
    assert 'fireside_http_request_seconds_count{method="GET",route="/things/{thing}"} 2.0' in text


async def test_nobody_outside_makes_up_series() -> None:
    text = await asked(an_application(), ("BREW", "/things/1"), ("GET", "/x1"), ("GET", "/x2"))

    assert "BREW" not in text
    assert "/x1" not in text


async def test_routes_on_the_short_way_are_counted_too() -> None:
    app = DirectApplication(direct=openai_routes().routes)
    counted = await asked(app, ("POST", "/v1/chat/completions"))

    assert 'method="POST",route="/v1/chat/completions"' in counted


async def test_who_leaves_before_the_reply_begins_is_counted_as_gone() -> None:
    metrics = Metrics()

    async def leave(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise ConnectionResetError

    scope = {"type": "http", "method": "GET", "path": "/"}
    with pytest.raises(ConnectionResetError):
        await RequestMetrics(leave, metrics=metrics)(scope, None, None)  # pyright: ignore[reportArgumentType]

    assert 'status="499"} 1.0' in metrics.render().decode()
