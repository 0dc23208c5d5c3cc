"""Settings that change while two processes run: through the API of one, in effect on the other; kept by a restart."""

import asyncio
import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import orjson
import pytest

from fireside.adapters.event_stream.jetstream import JetStreamEventStream
from fireside.testing.cluster import FiresideCluster, running_cluster
from fireside.testing.facts import envelope
from tests.servers import NatsServer, running

NODES = {"one": ("gateway", "auth", "admin", "explore", "inference"), "two": ("gateway", "inference")}
CONFIG = "/api/v1/admin/config"
RATE, URLS = "FIRESIDE_GATEWAY_ANONYMOUS_RATE", "FIRESIDE_INFERENCE_URLS"
_PATIENCE_S = 60.0


@contextmanager
def model_server(name: str) -> Generator[str]:
    """A server of the model `small` that answers everything with its own name; yields its URL."""

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            message = {"role": "assistant", "content": name}
            body = orjson.dumps({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class House:
    """Two nodes on NATS that both take requests and host inference; one keeps the configuration."""

    def __init__(self, cluster: FiresideCluster, nats_url: str, new_url: str) -> None:
        self.cluster, self.nats_url, self.new_url = cluster, nats_url, new_url

    def request(self, node: str, method: str, path: str, body: Any = None, *, known: bool = True) -> tuple[int, Any]:
        """Status and body of a reply; of the administrator's, or of a stranger's request."""
        headers = {"content-type": "application/json"}
        if known:
            headers["authorization"] = f"Bearer {self.cluster.key}"
        data = None if body is None else orjson.dumps(body)
        asked = urllib.request.Request(self.cluster.nodes[node].url + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(asked, timeout=30) as reply:
                return reply.status, json.load(reply)
        except urllib.error.HTTPError as refusal:
            with refusal:
                return refusal.code, json.load(refusal)

    def change(self, values: dict[str, Any]) -> Any:
        status, body = self.request("two", "PATCH", CONFIG, {"values": values})
        assert status == 200, body
        return body

    def answer(self, node: str) -> str:
        asked = {"model": "small", "messages": [{"role": "user", "content": "hello"}]}
        status, body = self.request(node, "POST", "/v1/chat/completions", asked)
        assert status == 200, body
        return str(body["choices"][0]["message"]["content"])

    def both_answer(self, name: str) -> None:
        until(lambda: [self.answer("one"), self.answer("two")] == [name, name])

    def limit_of_strangers(self, node: str) -> int | None:
        """How many requests strangers may make, if they have made too many."""
        status, body = self.request(node, "GET", "/api/v1/models", known=False)
        return int(body["limit"]) if status == 429 else None

    def publish(self, **fact: str) -> None:
        """State the fact as a program does that speaks to JetStream."""

        async def publish() -> None:
            stream = JetStreamEventStream(self.nats_url)
            await stream.open()
            said = replace(envelope(1, topic="inference.url.changed"), payload=orjson.dumps(fact).decode())
            await stream.publish(next(iter(stream.destinations())), [said])
            await stream.close()

        asyncio.run(publish())


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.2)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("live-settings")
    with model_server("old") as old_url, model_server("new") as new_url, running(NatsServer(folder)) as nats:
        environment = {
            "FIRESIDE_TRANSPORT_URL": nats.url,
            "FIRESIDE_EVENT_STREAM_URL": nats.url,
            "FIRESIDE_INFERENCE_ENGINE": "off",
            "FIRESIDE_INFERENCE_SERVERS": json.dumps([{"url": old_url, "models": ["small"], "api_key": "hunter2"}]),
        }
        with running_cluster(Path(folder, "home"), NODES, environment=environment) as cluster:
            yield House(cluster, nats.url, new_url)


@pytest.mark.requirement("P5", "P6", "P19")
def test_a_limit_that_is_changed_through_one_node_holds_on_the_other_and_after_restarts(house: House) -> None:
    made = house.change({RATE: "2/hour"})

    until(lambda: house.limit_of_strangers("two") == 2)
    until(lambda: house.limit_of_strangers("one") == 2)
    status, refusal = house.request("two", "PATCH", CONFIG, {"values": {RATE: "lots"}})
    assert (status, refusal["errors"][0]["field"]) == (422, RATE)
    assert house.limit_of_strangers("two") == 2
    status, refusal = house.request(
        "one", "PATCH", CONFIG, {"values": {RATE: "9/hour"}, "expected_version": made["version"] - 1}
    )
    assert (status, refusal["code"]) == (409, "version_conflict")

    house.cluster.restart("two")
    until(lambda: house.limit_of_strangers("two") == 2)
    house.cluster.restart("one")
    until(lambda: house.limit_of_strangers("one") == 2)

    status, back = house.request("two", "POST", f"{CONFIG}/rollback", {"version": made["version"] - 1})
    assert (status, back["changes"][0]["after"]) == (200, None)
    until(lambda: house.limit_of_strangers("two") is None)
    _, history = house.request("two", "GET", f"{CONFIG}/history")
    assert [item["version"] for item in history["items"]][:2] == [back["version"], made["version"]]


@pytest.mark.requirement("P5")
def test_the_level_of_the_log_is_changed_on_every_node(house: House) -> None:
    def both_log_details() -> bool:
        for node in NODES:
            house.request(node, "POST", "/v1/chat/completions", {"model": "none", "messages": []})
        return all("call_refused" in house.cluster.nodes[node].log for node in NODES)  # a detail

    assert not both_log_details()
    house.change({"FIRESIDE_LOG_LEVEL": "debug"})

    until(both_log_details)
    house.change({"FIRESIDE_LOG_LEVEL": None})


@pytest.mark.requirement("P5")
def test_the_configuration_shows_no_secret(house: House) -> None:
    status, view = house.request("two", "GET", CONFIG)

    shown = {item["name"]: item for item in view["items"]}
    assert status == 200
    assert shown["FIRESIDE_CLUSTER_KEY"]["value"] == "***"
    assert shown["FIRESIDE_INFERENCE_SERVERS"]["value"][0]["api_key"] == "***"
    assert "hunter2" not in json.dumps(view)


@pytest.mark.requirement("P4")
def test_a_fact_from_outside_moves_the_model_on_both_nodes_and_a_wrong_one_does_not(house: House) -> None:
    assert [house.answer("one"), house.answer("two")] == ["old", "old"]

    house.publish(name="small", url="http://169.254.169.254")
    until(lambda: "config_refused" in house.cluster.nodes["one"].log)
    assert [house.answer("one"), house.answer("two")] == ["old", "old"]

    house.publish(name="small", url=house.new_url)
    house.both_answer("new")
    house.cluster.restart("one")
    house.cluster.restart("two")
    house.both_answer("new")

    house.change({URLS: None})
    house.both_answer("old")
