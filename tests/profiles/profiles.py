"""The shipped profiles on servers of this run: those of `deploy/profiles` with other addresses."""

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from benchmarks.serving import scripted_server

from tests.brokers import shared_broker
from tests.postgresql import PostgresqlServer
from tests.redis_servers import need_redis, watched_by_sentinels
from tests.servers import MongoServer, running

PROFILES = Path(__file__).parents[2] / "deploy" / "profiles"
FRONT = "gateway,auth,admin,chat,think,act,respond"
BACK = "documents,explore,vectors,embeddings,inference"


@dataclass(frozen=True)
class Profile:
    """A profile, ready to be used.

    Attributes:
        environment: What it sets.
        nodes: The services of each of its processes; one process hosts all when there is one.
        model: The model that answers.
    """

    environment: Mapping[str, str]
    nodes: tuple[str, ...] = ("",)
    model: str = "smollm2-135m-instruct"


def shipped(name: str) -> dict[str, str]:
    """The variables of a profile as it is shipped; those that everyone must fill in are empty."""
    lines = (PROFILES / f"{name}.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def moved(variables: Mapping[str, str], **addresses: str) -> dict[str, str]:
    """The same variables with the addresses of other servers of the same kind.

    Args:
        variables: Of a shipped profile.
        addresses: New values by name without `FIRESIDE_`; each must be in the profile, with the same scheme.
    """
    changed = dict(variables)
    for name, value in addresses.items():
        variable = f"FIRESIDE_{name.upper()}"
        before = changed[variable]
        assert not before or urlsplit(before).scheme == urlsplit(value).scheme, variable
        changed[variable] = value
    return changed


@contextlib.contextmanager
def ollama(folder: Path, databases: PostgresqlServer) -> Iterator[Profile]:
    """PostgreSQL, RabbitMQ, Redis, and a server of models that speaks the API that Ollama speaks."""
    del folder
    with scripted_server() as models:
        variables = moved(
            shipped("ollama"),
            database_url=databases.create(),
            event_stream_url=shared_broker("amqp"),
            cache_url=shared_broker("redis") + "/0",
        )
        servers = json.loads(variables["FIRESIDE_INFERENCE_SERVERS"])
        variables["FIRESIDE_INFERENCE_SERVERS"] = json.dumps([servers[0] | {"url": models}])
        yield Profile(variables | namespace(), model=servers[0]["models"][0])


@contextlib.contextmanager
def mesh(folder: Path, databases: PostgresqlServer) -> Iterator[Profile]:
    """Two nodes on NATS, conversations in MongoDB; the search index lies in the node that hosts it."""
    with running(MongoServer(folder)) as mongodb:
        variables = moved(
            shipped("mesh"),
            transport_url=shared_broker("nats"),
            event_stream_url=shared_broker("nats"),
            conversations_url=f"{mongodb.url}/fireside",
            database_url=databases.create(),
            cache_url=shared_broker("redis") + "/0",
            cluster_key=uuid4().hex,
        )
        del variables["FIRESIDE_VECTORS_URL"]
        yield Profile(variables | namespace(), nodes=(BACK, FRONT))


@contextlib.contextmanager
def enterprise(folder: Path, databases: PostgresqlServer) -> Iterator[Profile]:
    """Two nodes, a database for each service, and Redis under sentinels for calls, facts and cache."""
    need_redis()
    with watched_by_sentinels(folder) as redis:
        variables = moved(
            shipped("enterprise"),
            transport_url=redis.url,
            event_stream_url=redis.url,
            cache_url=redis.url,
            auth_database_url=databases.create(),
            admin_database_url=databases.create(),
            chat_database_url=databases.create(),
            documents_database_url=databases.create(),
            cluster_key=uuid4().hex,
        )
        del variables["FIRESIDE_VECTORS_URL"]
        yield Profile(variables, nodes=(BACK, FRONT))


@contextlib.contextmanager
def embedded(folder: Path, databases: PostgresqlServer) -> Iterator[Profile]:
    """Nothing set at all."""
    del folder, databases
    yield Profile({})


def namespace() -> dict[str, str]:
    """What keeps this run apart from others on shared brokers."""
    return {"FIRESIDE_NAMESPACE": f"test-{uuid4().hex[:12]}"}


ALL = {"embedded": embedded, "ollama": ollama, "mesh": mesh, "enterprise": enterprise}
PARAMS = [pytest.param(name, marks=pytest.mark.xdist_group(f"profile-{name}")) for name in ALL]
