"""Simon Willison's `llm` command with Fireside as one of its extra OpenAI-compatible models."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fireside.testing.process import FiresideProcess


@pytest.fixture
def settings(house: FiresideProcess, tmp_path: Path) -> dict[str, str]:
    models = [
        {"model_id": name, "model_name": name, "api_base": house.url + "/v1", "api_key_name": "fireside"}
        for name in ("fireside", "smollm2-135m-instruct")
    ]
    (tmp_path / "extra-openai-models.yaml").write_text(json.dumps(models))
    (tmp_path / "keys.json").write_text(json.dumps({"fireside": house.key}))
    return {**os.environ, "LLM_USER_PATH": str(tmp_path), "LLM_LOAD_PLUGINS": ""}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("-m", "fireside", "When does the travel desk close?"), "4:30"),
        (("-m", "fireside", "--no-stream", "When does the travel desk close?"), "4:30"),
        (("-m", "smollm2-135m-instruct", "-o", "max_tokens", "8", "Say hello."), ""),
    ],
    ids=["streamed", "whole", "plain"],
)
def test_it_answers_on_the_command_line(settings: dict[str, str], arguments: tuple[str, ...], expected: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "llm", "prompt", *arguments],
        env=settings,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert expected in done.stdout
    assert done.stdout.strip()
