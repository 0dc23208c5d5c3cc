"""A node whose database takes no changes starts all the same: it reads, refuses changes, and recovers by itself."""

import json
import time
import urllib.error
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from fireside.testing.process import FiresideProcess
from tests.postgresql import OwnCluster, execute

_PATIENCE_S = 30.0


@pytest.fixture
def server(tmp_path: Path, own_cluster: OwnCluster) -> Iterator[FiresideProcess]:
    environment = {"FIRESIDE_INFERENCE_ENGINE": "off", "FIRESIDE_DATABASE_URL": own_cluster.url}
    server = FiresideProcess(tmp_path / "home", environment)
    yield server
    server.stop()


def take_changes(cluster: OwnCluster, taken: str) -> None:
    """Have new connections take changes or refuse them, as a replica does, and cut the old ones."""
    refused = "off" if taken == "on" else "on"
    alter = f"ALTER DATABASE postgres SET default_transaction_read_only = {refused}"
    others = "pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = 'postgres'"
    execute(cluster.url, f"BEGIN READ WRITE; {alter}; COMMIT; SELECT pg_terminate_backend(pid) FROM {others}")


@pytest.mark.requirement("D2", "P18")
def test_a_node_starts_on_a_database_that_takes_no_changes(server: FiresideProcess, own_cluster: OwnCluster) -> None:
    server.start()
    kept = server.call("POST", "/api/v1/conversations", {"mode": "general"})["id"]
    server.stop()
    take_changes(own_cluster, "off")

    server.start()

    assert server.call("GET", "/health/ready")["status"] == "degraded"
    assert [one["id"] for one in server.call("GET", "/api/v1/conversations")["items"]] == [kept]
    refused = refusal(server)
    assert (refused["status"], refused["code"]) == (503, "database_read_only")
    take_changes(own_cluster, "on")
    deadline = time.monotonic() + _PATIENCE_S
    while refusal(server) is not None:
        assert time.monotonic() < deadline, "changes are still refused"
        time.sleep(0.1)


def refusal(server: FiresideProcess) -> Any:
    """How a change is refused; None when it is taken."""
    try:
        server.call("POST", "/api/v1/conversations", {"id": str(uuid4()), "mode": "general"})
    except urllib.error.HTTPError as error:
        with error:
            return json.load(error)
    return None
