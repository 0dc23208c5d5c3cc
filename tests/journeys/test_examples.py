"""The programs in `examples/` do what they say."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fireside.testing.process import FiresideProcess

EXAMPLES = Path(__file__).parents[2] / "examples"
ENDINGS = {"ask_with_citations.py": "[1] travel.md: ", "openai_client.py": "sources: Travel"}


def test_every_example_is_run_here() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == ENDINGS.keys()


@pytest.mark.requirement("O11")
@pytest.mark.parametrize("name", ENDINGS)
def test_an_example_answers_with_its_sources(house: FiresideProcess, name: str) -> None:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name), "When does the travel desk close?"],
        env=os.environ | {"FIRESIDE_SERVER": house.url, "FIRESIDE_KEY": house.key},
        capture_output=True,
        text=True,
        timeout=90,
    )

    assert done.returncode == 0, done.stderr
    assert "4:30" in done.stdout
    assert ENDINGS[name] in done.stdout
