"""A client that hangs up stops the model that works for it, in every dialect, stream or not."""

import http.client
import json
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from fireside.testing.process import FiresideProcess, running
from fireside.testing.scripted_model import ScriptedModel
from tests.journeys.scripted_server import serving

MESSAGES = [{"role": "user", "content": "Talk for a long time."}]
CALLS: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": MESSAGES},
    "/v1/messages": {"messages": MESSAGES, "max_tokens": 1000},
    "/v1/responses": {"input": "Talk for a long time."},
    "/api/chat": {"messages": MESSAGES},
    "/api/generate": {"prompt": "Talk for a long time."},
}


@pytest.fixture(scope="module")
def model() -> ScriptedModel:
    return ScriptedModel(script=lambda _: ["word "] * 5_000, pause_s=0.02)


@pytest.fixture(scope="module")
def server(model: ScriptedModel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FiresideProcess]:
    with serving(model) as settings, running(tmp_path_factory.mktemp("leaving"), settings) as server:
        yield server


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize("path", CALLS)
def test_a_client_that_hangs_up_stops_the_model(
    server: FiresideProcess, model: ScriptedModel, path: str, stream: bool
) -> None:
    asked, left = len(model.prompts), model.left_early
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=30)
    body = json.dumps({"model": "scripted", "stream": stream, **CALLS[path]})
    connection.request(
        "POST", path, body, {"authorization": f"Bearer {server.key}", "content-type": "application/json"}
    )
    wait_until(lambda: len(model.prompts) == asked + 1)
    if stream:
        reply = connection.getresponse()
        assert reply.status == 200
        assert reply.read(20)
        reply.close()
    connection.close()

    wait_until(lambda: model.left_early == left + 1)
