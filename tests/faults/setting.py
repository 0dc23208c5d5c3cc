"""A cluster and a whole node, each with brokers and databases of its own, small enough for two cores."""

import json
import time
import urllib.request
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from benchmarks.serving import scripted_server, with_server

from fireside.testing.cluster import FiresideCluster, Place, running_cluster
from tests.line import Line, line_to
from tests.machine import Machine, can_make_machines, new_machine
from tests.postgresql import OwnCluster, PostgresqlServer, new_cluster
from tests.servers import MongoServer, NatsServer, RabbitServer, RedisServer, running

NODES = {
    "gateway-1": ("gateway", "auth"),
    "gateway-2": ("gateway", "auth"),
    "chat-1": ("chat", "think", "act", "respond"),
    "chat-2": ("chat", "think", "act", "respond"),
    "inference-1": ("inference",),
    "inference-2": ("inference",),
    "documents": ("documents", "explore", "usage"),
    "vectors": ("vectors", "embeddings"),
}
GATEWAYS = ("gateway-1", "gateway-2")
HEARTBEAT_TIMEOUT_S = 3.0
GATEWAY_STOP_S = 1.0
"""How long a stopping gateway waits for its streams; others wait as long as they do by default."""
SLOW_MODEL, SLOW_MS = "slow", 100.0
WHOLE_NODE = "whole"
TRAVEL = b"# Travel\n\nBook trains at the travel desk. The travel desk closes at 4:30 pm.\n"
_PATIENCE_S = 60.0
_QUICK = {
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
"""So that nobody waits long for what died, and two cores are enough."""


@dataclass(frozen=True)
class Setting:
    """What a fault may strike.

    Attributes:
        front: The nodes that host the gateway.
        database_url: Of the database that all services share.
    """

    cluster: FiresideCluster
    front: Sequence[str]
    database_url: str

    @property
    def gateways(self) -> list[str]:
        """Where the gateways are."""
        return [self.cluster.nodes[name].url for name in self.front]


@dataclass(frozen=True)
class ClusterSetting(Setting):
    """Eight nodes.

    Attributes:
        line: Over which chat-2, and nobody else, reaches NATS.
        machine: On which chat-2 runs; None where network namespaces cannot be made.
    """

    nats: NatsServer
    redis: RedisServer
    line: Line
    machine: Machine | None


@dataclass(frozen=True)
class WholeNodeSetting(Setting):
    """One node that hosts every service."""

    rabbitmq: RabbitServer
    mongodb: MongoServer
    postgresql: OwnCluster


@contextmanager
def cluster_setting(folder: Path, postgresql: PostgresqlServer) -> Generator[ClusterSetting]:
    """A cluster in which one document is indexed, and all that it needs."""
    with ExitStack() as stack:
        nats = stack.enter_context(running(NatsServer(folder)))
        redis = stack.enter_context(running(RedisServer(folder)))
        machine = stack.enter_context(new_machine()) if can_make_machines() else None
        place, outside = Place(), "127.0.0.1"
        if machine is not None:
            place, outside = Place(machine.command, machine.inside), machine.outside
        database_url = postgresql.create()
        stack.callback(postgresql.drop, database_url)
        line, to_redis, to_database = (
            stack.enter_context(line_to(port, outside))
            for port in (nats.port, redis.port, urlsplit(database_url).port or 5432)
        )
        environment = {
            **_with_models(stack),
            **_QUICK,
            **_over(nats.url),
            "FIRESIDE_CACHE_URL": redis.url,
            "FIRESIDE_DATABASE_URL": database_url,
        }
        own = {name: {"FIRESIDE_MESH_STOP_TIMEOUT_S": str(GATEWAY_STOP_S)} for name in GATEWAYS}
        own["chat-2"] = {
            **_over(line.to(nats.url)),
            "FIRESIDE_CACHE_URL": to_redis.to(redis.url),
            "FIRESIDE_DATABASE_URL": to_database.to(database_url),
        }
        places = {"chat-2": place}
        cluster = stack.enter_context(
            running_cluster(folder / "home", NODES, environment=environment, own=own, places=places)
        )
        setting = ClusterSetting(cluster, GATEWAYS, database_url, nats, redis, line, machine)
        _index(setting, "travel.md", TRAVEL)
        yield setting


@contextmanager
def whole_node_setting(folder: Path) -> Generator[WholeNodeSetting]:
    """One node in which one document is indexed, with its facts in RabbitMQ and its conversations in MongoDB."""
    with ExitStack() as stack:
        rabbitmq = stack.enter_context(running(RabbitServer(folder)))
        mongodb = stack.enter_context(running(MongoServer(folder)))
        postgresql = stack.enter_context(new_cluster())
        postgresql.start()
        environment = {
            **_with_models(stack),
            **_QUICK,
            "FIRESIDE_EVENT_STREAM_URL": rabbitmq.url,
            "FIRESIDE_CONVERSATIONS_URL": f"{mongodb.url}/fireside",
            "FIRESIDE_DATABASE_URL": postgresql.url,
        }
        nodes = {WHOLE_NODE: [service for services in NODES.values() for service in services]}
        cluster = stack.enter_context(running_cluster(folder / "home", nodes, environment=environment))
        setting = WholeNodeSetting(cluster, [WHOLE_NODE], postgresql.url, rabbitmq, mongodb, postgresql)
        _index(setting, "travel.md", TRAVEL)
        rabbitmq.settle()
        yield setting


def _over(nats_url: str) -> dict[str, str]:
    return {"FIRESIDE_TRANSPORT_URL": nats_url, "FIRESIDE_EVENT_STREAM_URL": f"{nats_url}?take_over_s=1"}


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
