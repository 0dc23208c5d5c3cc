"""A real process that is killed in the middle of an installation."""

import time
from pathlib import Path
from typing import Any

import pytest

from fireside.testing.process import FiresideProcess
from tests.gguf import model_file
from tests.services.explore.servers import ModelServer, sha256

LARGE = model_file(6_000_000, seed=3)
PATIENCE_S = 120.0


def job_until(house: FiresideProcess, job_id: str, *, percent: float) -> dict[str, Any]:
    """The job, once it has come so far or has ended."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        job = house.call("GET", f"/api/v1/jobs/{job_id}")
        if job["percent"] >= percent or job["state"] not in {"queued", "running"}:
            return dict(job)
        assert time.monotonic() < deadline, job
        time.sleep(0.05)


@pytest.mark.requirement("I6", "P12")
def test_an_installation_that_is_killed_goes_on_where_it_was(tmp_path: Path, server: ModelServer) -> None:
    server.files["tiny.gguf"] = LARGE
    server.pause_s = 0.01
    environment = {
        "FIRESIDE_INFERENCE_ENGINE": "off",
        "FIRESIDE_EXPLORE_HUB_URL": server.url,
        "FIRESIDE_EXPLORE_RESERVE_BYTES": "0",
        "FIRESIDE_EXPLORE_BROKEN_PAUSE_S": "0.05",
    }
    house = FiresideProcess(tmp_path / "home", environment)
    house.start()
    try:
        job_id = house.call("POST", "/api/v1/models/install", {"source": "hf:acme/tiny"})["job_id"]
        before = job_until(house, job_id, percent=20)
        assert before["state"] == "running"
        house.kill()
        assert list((tmp_path / "home" / "models").glob("??/*")) == []
        house.start()
        after = house.call("GET", f"/api/v1/jobs/{job_id}")
        assert after["percent"] >= before["percent"]
        done = job_until(house, job_id, percent=101)
        [model] = house.call("GET", "/api/v1/models")["items"]
    finally:
        house.stop()

    assert (done["state"], done["result"]["digest"]) == ("succeeded", sha256(LARGE))
    assert (model["name"], model["state"], model["digest"]) == ("tiny", "installed", sha256(LARGE))
    assert server.requests[-1][1] > len(LARGE) * 0.15
    assert server.sent["tiny.gguf"] < len(LARGE) * 1.5
