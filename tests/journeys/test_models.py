"""A model's way from a file to an answer, by the command line alone."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fireside.bootstrap.models import default_model_path
from fireside.testing.process import FiresideProcess, running
from tests.needs import need

PATIENCE_S = 120.0


def fireside(house: FiresideProcess, *words: str) -> Any:
    """What a command prints as JSON."""
    command = [sys.executable, "-m", "fireside", "--data", str(house.home), *words, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def state_of(house: FiresideProcess, name: str) -> str | None:
    return next((item["state"] for item in fireside(house, "models", "list") if item["name"] == name), None)


@pytest.mark.requirement("I6")
def test_an_installed_model_answers_whoever_names_it_and_everybody_once_it_is_chosen(tmp_path: Path) -> None:
    file = default_model_path()
    need(file.is_file(), "the default model: 'make install'")
    house_folder = tmp_path / "home"
    (house_folder / "import").mkdir(parents=True)
    (house_folder / "import" / "own.gguf").write_bytes(file.read_bytes())

    with running(house_folder, {"FIRESIDE_INFERENCE_ENGINE": "off"}) as house:
        source = f"file:{house_folder}/import/own.gguf"
        job = fireside(house, "models", "install", source, "--name", "mine")
        assert (job["state"], job["percent"]) == ("succeeded", 100.0)
        assert [item["name"] for item in fireside(house, "models", "search", "135m")] == ["smollm2-135m"]
        assert fireside(house, "models", "search", "135m")[0]["installed"]
        assert state_of(house, "mine") == "installed"
        body = {"model": "mine", "messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 8}
        reply = house.call("POST", "/v1/chat/completions", body)
        assert reply["choices"][0]["message"]["content"].strip()
        assert state_of(house, "mine") == "ready"
        assert fireside(house, "ask", "Say hello.", "--mode", "general")["model"] is None
        fireside(house, "models", "use", "mine")
        asked = fireside(house, "ask", "Say hello.", "--mode", "general")
        assert asked["model"] == "mine"
        seen = next(item for item in fireside(house, "models", "list") if item["name"] == "mine")
        assert (seen["is_default"], seen["family"]) == (True, "smollm2")
        assert seen["answers"] >= 1
        fireside(house, "models", "remove", "mine")
        assert fireside(house, "models", "list") == []
        assert list((house_folder / "models").glob("??/*")) == []
