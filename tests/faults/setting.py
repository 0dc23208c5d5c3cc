"""A whole cluster with brokers and a database of its own, small enough for two cores, with quick signs of life."""

import json
import time
import urllib.request
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from benchmarks.serving import scripted_server, with_server

from fireside.testing.cluster import FiresideCluster, running_cluster
from tests.postgresql import PostgresqlServer
from tests.servers import NatsServer, RedisServer, running

NODES = {
    "gateway-1": ("gateway", "auth"),
    "gateway-2": ("gateway", "auth"),
    "chat-1": ("chat", "think", "act", "respond"),
    "chat-2": ("chat", "think", "act", "respond"),
    "inference-1": ("inference",),
    "inference-2": ("inference",),
    "documents": ("documents", "explore"),
    "vectors": ("vectors", "embeddings"),
}
GATEWAYS = ("gateway-1", "gateway-2")
HEARTBEAT_TIMEOUT_S = 3.0
GATEWAY_STOP_S = 1.0
"""How long a stopping gateway waits for its streams; others wait as long as they do by default."""
SLOW_MODEL, SLOW_MS = "slow", 100.0
TRAVEL = b"# Travel\n\nBook trains at the travel desk. The travel desk closes at 4:30 pm.\n"
_PATIENCE_S = 60.0


@dataclass(frozen=True)
class Setting:
    """What a fault may strike.

    Attributes:
        database_url: Of the database that all services share.
    """

    cluster: FiresideCluster
    nats: NatsServer
    redis: RedisServer
    database_url: str

    @property
    def gateways(self) -> list[str]:
        """Where the gateways are."""
        return [self.cluster.nodes[name].url for name in GATEWAYS]


@contextmanager
def whole_setting(folder: Path, postgresql: PostgresqlServer) -> Generator[Setting]:
    """A cluster in which one document is indexed, and all that it needs."""
    with ExitStack() as stack:
        nats = stack.enter_context(running(NatsServer(folder)))
        redis = stack.enter_context(running(RedisServer(folder)))
        database_url = postgresql.create()
        stack.callback(postgresql.drop, database_url)
        environment = {
            **_with_models(stack),
            "FIRESIDE_TRANSPORT_URL": nats.url,
            "FIRESIDE_EVENT_STREAM_URL": f"{nats.url}?take_over_s=1",
            "FIRESIDE_CACHE_URL": redis.url,
            "FIRESIDE_DATABASE_URL": database_url,
            "FIRESIDE_MESH_HEARTBEAT_INTERVAL_S": "0.5",
            "FIRESIDE_MESH_HEARTBEAT_TIMEOUT_S": str(HEARTBEAT_TIMEOUT_S),
            "FIRESIDE_MESH_ABSENCE_WAIT_S": "25",
            "FIRESIDE_ACT_SEARCH_TIMEOUT_S": "5",
            "FIRESIDE_CHAT_LEASE_S": "4",
            "FIRESIDE_CHAT_MAX_ANSWERS_PER_USER": "50",
            "FIRESIDE_DURABLE_LEASE_S": "4",
            "FIRESIDE_DURABLE_HEARTBEAT_S": "1",
            "FIRESIDE_DURABLE_READERS": "2",
            "FIRESIDE_DURABLE_WRITERS": "2",
        }
        own = {name: {"FIRESIDE_MESH_STOP_TIMEOUT_S": str(GATEWAY_STOP_S)} for name in GATEWAYS}
        cluster = stack.enter_context(running_cluster(folder / "home", NODES, environment=environment, own=own))
        setting = Setting(cluster, nats, redis, database_url)
        _index(setting, "travel.md", TRAVEL)
        yield setting


def _with_models(stack: ExitStack) -> dict[str, str]:
    """The settings of a node whose models are a quick and a slow one that say again what they are asked."""
    quick, slow = stack.enter_context(scripted_server()), stack.enter_context(scripted_server(pause_ms=SLOW_MS))
    servers = [{"url": quick, "models": ["scripted"]}, {"url": slow, "models": [SLOW_MODEL]}]
    return with_server(quick) | {"FIRESIDE_INFERENCE_SERVERS": json.dumps(servers)}


def _index(setting: Setting, path: str, content: bytes) -> None:
    """Upload a document and wait until it can be found."""
    edge = uuid4().hex
    head = f'--{edge}\r\nContent-Disposition: form-data; name="files"; filename="{path}"\r\n\r\n'
    body = head.encode() + content + f"\r\n--{edge}--\r\n".encode()
    accepted = _call(setting, "/api/v1/documents", body, f"multipart/form-data; boundary={edge}")
    deadline = time.monotonic() + _PATIENCE_S
    while (job := _call(setting, f"/api/v1/jobs/{accepted['job_id']}"))["state"] != "succeeded":
        assert job["state"] in {"queued", "running"}, job
        assert time.monotonic() < deadline, job
        time.sleep(0.05)


def _call(setting: Setting, path: str, body: bytes | None = None, media_type: str = "application/json") -> Any:
    headers = {"authorization": f"Bearer {setting.cluster.key}", "content-type": media_type}
    request = urllib.request.Request(setting.gateways[0] + path, body, headers)
    with urllib.request.urlopen(request, timeout=60) as reply:
        return json.load(reply)
