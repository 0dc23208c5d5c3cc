"""Two processes that both take requests and run models hold to one limit, with the counters on a Redis of their own."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from fireside.testing.cluster import FiresideCluster, running_cluster
from fireside.testing.scripted_model import ScriptedModel
from tests.journeys.scripted_server import serving
from tests.redis_servers import RedisServer
from tests.redis_servers import running as running_servers

NODES = {"one": ("gateway", "auth", "admin", "explore", "usage", "inference"), "two": ("gateway", "inference")}
MOST = 10


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[FiresideCluster]:
    redis = RedisServer(tmp_path / "redis")
    limits = [{"scope": "user", "unit": "requests", "window": "month", "amount": MOST}]
    with running_servers(redis), serving(ScriptedModel()) as settings:
        environment = {
            **settings,
            "FIRESIDE_TRANSPORT_URL": f"redis://127.0.0.1:{redis.port}/0",
            "FIRESIDE_CACHE_URL": f"redis://127.0.0.1:{redis.port}/0",
            "FIRESIDE_USAGE_LIMITS": json.dumps(limits),
        }
        with running_cluster(tmp_path / "home", NODES, environment=environment) as cluster:
            yield cluster


def call(cluster: FiresideCluster, node: str, path: str, body: Any = None) -> tuple[int, Any]:
    headers = {"authorization": f"Bearer {cluster.key}", "content-type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(cluster.nodes[node].url + path, data, headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as reply:
            return reply.status, json.load(reply)
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code, json.load(refusal)


@pytest.mark.requirement("P19")
def test_a_burst_at_two_nodes_is_answered_as_often_as_the_limit_says(cluster: FiresideCluster) -> None:
    asked = {"model": "scripted", "messages": [{"role": "user", "content": "hello"}]}

    def ask(number: int) -> int:
        return call(cluster, ("one", "two")[number % 2], "/v1/chat/completions", asked)[0]

    with ThreadPoolExecutor(20) as threads:
        statuses = list(threads.map(ask, range(60)))

    assert {status: statuses.count(status) for status in set(statuses)} == {200: MOST, 429: 60 - MOST}
    _, own = call(cluster, "two", "/api/v1/usage")
    assert [(state["used"], state["reserved"]) for state in own["limits"]] == [(MOST, 0)]


@pytest.mark.requirement("I15")
def test_what_was_asked_at_every_node_is_in_the_sums(cluster: FiresideCluster) -> None:
    asked = {"model": "scripted", "messages": [{"role": "user", "content": "hello there"}]}
    told = [call(cluster, node, "/v1/chat/completions", asked)[1]["usage"] for node in ("one", "two", "two")]
    tokens = sum(usage["total_tokens"] for usage in told)

    _, me = call(cluster, "one", "/api/v1/auth/me")
    for by, group in (("user", me["id"]), ("model", "scripted")):
        (item,) = reported(cluster, by, requests=3)["items"]
        assert item["group"] == group
        assert (item["requests"], item["prompt_tokens"] + item["completion_tokens"]) == (3, tokens)
    assert reported(cluster, "day", requests=3)["total"] == reported(cluster, "model", requests=3)["total"]


def reported(cluster: FiresideCluster, by: str, *, requests: int) -> Any:
    """The report, once every node has told what it gathered."""
    deadline = time.monotonic() + 30
    while True:
        _, report = call(cluster, "two", f"/api/v1/admin/usage?group_by={by}")
        if report["total"]["requests"] >= requests:
            return report
        assert time.monotonic() < deadline, report
        time.sleep(0.05)
