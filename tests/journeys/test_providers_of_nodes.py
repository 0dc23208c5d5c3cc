"""Providers that administrators add, change and turn off through one node are so on the other at once."""

import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import orjson
import pytest

from fireside.testing.cluster import FiresideCluster, running_cluster
from tests.servers import NatsServer, running

NODES = {"one": ("gateway", "auth", "admin", "explore", "inference"), "two": ("gateway", "inference")}
FIRST_KEY, SECOND_KEY = "sk-the-first-secret-1111", "sk-the-second-secret-2222"
FAILURES_THAT_OPEN = 3
AT_ONCE_S = 20.0
"""Long for a slow machine, and shorter than the 30 s after which a node looks by itself."""


class ModelServer:
    """A server of the model `big` that takes one key at a time."""

    def __init__(self, url: str) -> None:
        self.url, self.key = url, FIRST_KEY


@contextmanager
def model_server() -> Generator[ModelServer]:
    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            is_known = self.headers["authorization"] == f"Bearer {shown.key}"
            message = {"role": "assistant", "content": "well"}
            body = orjson.dumps({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})
            self.send_response(200 if is_known else 401)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    shown = ModelServer(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield shown
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def server() -> Iterator[ModelServer]:
    with model_server() as server:
        yield server


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("providers")


@pytest.fixture(scope="module")
def cluster(home: Path) -> Iterator[FiresideCluster]:
    with running(NatsServer(home)) as nats:
        environment = {"FIRESIDE_TRANSPORT_URL": nats.url, "FIRESIDE_INFERENCE_ENGINE": "off"}
        with running_cluster(home / "home", NODES, environment=environment) as cluster:
            yield cluster


def call(cluster: FiresideCluster, node: str, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    headers = {"authorization": f"Bearer {cluster.key}", "content-type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(cluster.nodes[node].url + path, data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as reply:
            return reply.status, json.loads(reply.read() or b"null")
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code, json.load(refusal)


def ask(cluster: FiresideCluster, node: str) -> int:
    """The status with which a node answers for the provider's model."""
    asked = {"model": "big", "messages": [{"role": "user", "content": "hello"}]}
    return call(cluster, node, "POST", "/v1/chat/completions", asked)[0]


def answers(cluster: FiresideCluster) -> list[int]:
    return [ask(cluster, node) for node in NODES]


def at_once(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + AT_ONCE_S
    while not holds():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.05)


def save(cluster: FiresideCluster, node: str, server: ModelServer, **facts: Any) -> Any:
    body = {"name": "Beside", "kind": "compatible", "urls": [server.url], "models": ["big"]} | facts
    status, saved = call(cluster, node, "PUT", "/api/v1/providers", body)
    assert status == 200, saved
    return saved


def shown(cluster: FiresideCluster, node: str = "two") -> Any:
    """What the page of providers shows that a node serves."""
    return call(cluster, node, "GET", "/api/v1/providers")[1]


def health(cluster: FiresideCluster, node: str = "two") -> dict[str, dict[str, Any]]:
    """How each node finds the one provider, as the page shows it that another node serves."""
    (provider,) = shown(cluster, node)["items"]
    return {one["node_id"]: one for one in provider["health"]}


@pytest.mark.requirement("I5", "P4")
def test_a_provider_that_is_added_changed_or_turned_off_on_one_node_is_so_on_both(
    cluster: FiresideCluster, server: ModelServer, home: Path
) -> None:
    saved = save(cluster, "two", server, key=FIRST_KEY)
    at_once(lambda: answers(cluster) == [200, 200])
    assert (saved["has_key"], saved["key_end"], "key" in saved) == (True, "1111", False)

    server.key = SECOND_KEY
    assert answers(cluster) == [502, 502]
    for node in NODES:
        found = health(cluster, node)
        assert list(found) == list(NODES)
        assert all("refuses the key" in one["last_error"] for one in found.values())
    save(cluster, "one", server, key=SECOND_KEY)
    at_once(lambda: answers(cluster) == [200, 200])

    save(cluster, "two", server, enabled=False)
    at_once(lambda: answers(cluster) == [404, 404])
    save(cluster, "one", server, enabled=True)
    at_once(lambda: answers(cluster) == [200, 200])

    assert call(cluster, "two", "DELETE", "/api/v1/providers/Beside")[0] == 204
    at_once(lambda: answers(cluster) == [404, 404])
    for file in (path for path in home.rglob("*") if path.is_file()):
        content = file.read_bytes()
        assert FIRST_KEY.encode() not in content, file
        assert SECOND_KEY.encode() not in content, file


@pytest.mark.requirement("I5")
def test_the_page_of_one_node_tells_how_every_node_finds_a_provider(
    cluster: FiresideCluster, server: ModelServer
) -> None:
    server.key = FIRST_KEY
    save(cluster, "one", server, key=FIRST_KEY)
    at_once(lambda: answers(cluster) == [200, 200])
    server.key = SECOND_KEY
    for _ in range(FAILURES_THAT_OPEN):
        ask(cluster, "two")

    found = health(cluster)
    assert (found["one"]["state"], found["one"]["failures"]) == ("closed", 0)
    assert (found["two"]["state"], found["two"]["failures"]) == ("open", FAILURES_THAT_OPEN)
    assert shown(cluster)["items"][0]["state"] == "open"

    cluster.nodes["two"].pause()
    try:
        page = shown(cluster, "one")
    finally:
        cluster.nodes["two"].resume()
    assert page["silent"] == ["two"]
    assert [one["node_id"] for one in page["items"][0]["health"]] == ["one"]
