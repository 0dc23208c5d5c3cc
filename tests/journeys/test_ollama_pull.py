"""Models pulled, copied and deleted by the official `ollama` package, from a server like its registry."""

import time
from contextlib import closing
from pathlib import Path

import pytest
from ollama import Client, ResponseError

from fireside.bootstrap.models import default_model_path
from fireside.testing.process import running
from tests.needs import need
from tests.services.explore.servers import model_server

ASKED = [{"role": "user", "content": "Say hello."}]


@pytest.mark.requirement("I6")
def test_a_model_is_pulled_answers_whoever_names_it_and_goes(tmp_path: Path) -> None:
    file = default_model_path()
    need(file.is_file(), "the default model: 'make install'")
    with model_server() as registry:
        registry.files["tiny.gguf"] = file.read_bytes()
        settings = {"FIRESIDE_INFERENCE_ENGINE": "off", "FIRESIDE_EXPLORE_REGISTRY_URL": registry.url}
        with running(tmp_path / "home", settings) as house:
            ollama = Client(host=house.url, headers={"authorization": f"Bearer {house.key}"}, timeout=120)
            with closing(ollama._client):
                told = list(ollama.pull("tiny", stream=True))
                completed = [line.completed for line in told if line.completed is not None]
                answer = ollama.chat("tiny", ASKED, options={"num_predict": 4})
                again = ollama.pull("tiny")
                ollama.copy("tiny", "assistant")
                second = ollama.chat("assistant", ASKED, options={"num_predict": 4})
                ollama.delete("tiny")
                deadline = time.monotonic() + 60
                while (names := {model.model for model in ollama.list().models}) >= {"tiny:latest"}:
                    assert time.monotonic() < deadline
                with pytest.raises(ResponseError) as missing:
                    ollama.pull("nowhere")
                with pytest.raises(ResponseError) as unknown:
                    ollama.delete("nowhere")

    assert (told[0].status, told[-1].status) == ("pulling manifest", "success")
    assert completed == sorted(completed)
    assert answer.message.content
    assert again.status == "success"
    assert second.message.content
    assert "assistant:latest" in names
    assert "nowhere" in str(missing.value)
    assert unknown.value.status_code == 404
