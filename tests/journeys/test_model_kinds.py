"""Models that turn texts into vectors or rank them: installed, then served by the real engine in every dialect."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest

from fireside.testing.process import FiresideProcess, running
from tests.journeys.test_models import fireside
from tests.tiny_models import bert_file, bert_parts

TEXTS = ["a cat sits", "a dog"]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FiresideProcess]:
    home: Path = tmp_path_factory.mktemp("kinds") / "home"
    (home / "import").mkdir(parents=True)
    for name, ranks in (("vectors", False), ("ranks", True)):
        (home / "import" / f"{name}.gguf").write_bytes(bert_file(ranks=ranks))
    with running(home, {"FIRESIDE_INFERENCE_ENGINE": "off"}) as house:
        for name in ("vectors", "ranks"):
            assert fireside(house, "models", "install", f"file:{home}/import/{name}.gguf")["state"] == "succeeded"
        for file, content in bert_parts(3).items():
            (home / "import" / file).write_bytes(content)
        first = f"file:{home}/import/tiny-00001-of-00003.gguf"
        assert fireside(house, "models", "install", first)["state"] == "succeeded"
        yield house


def ask(house: FiresideProcess, path: str, model: str, **fields: Any) -> Any:
    return house.call("POST", path, {"model": model} | fields)


@pytest.mark.requirement("I6", "I12")
def test_an_embedding_model_turns_texts_into_vectors_in_both_dialects(house: FiresideProcess) -> None:
    reply = ask(house, "/v1/embeddings", "vectors", input=TEXTS)
    vectors = [row["embedding"] for row in reply["data"]]
    assert [len(vector) for vector in vectors] == [32, 32]
    assert vectors[0] != vectors[1]
    assert reply["usage"]["prompt_tokens"] > 0

    other = ask(house, "/api/embed", "vectors", input=TEXTS)["embeddings"]
    assert other == [pytest.approx(vector, abs=1e-5) for vector in vectors]
    assert ask(house, "/api/show", "vectors")["capabilities"] == ["embedding"]
    assert {"vectors", "ranks"} <= {model["id"] for model in house.call("GET", "/v1/models")["data"]}


@pytest.mark.requirement("I6")
def test_a_model_in_several_parts_says_the_same_as_the_whole(house: FiresideProcess) -> None:
    whole, split = (ask(house, "/v1/embeddings", name, input=TEXTS)["data"] for name in ("vectors", "tiny"))

    assert [row["embedding"] for row in split] == [pytest.approx(row["embedding"], abs=1e-5) for row in whole]


@pytest.mark.requirement("I6")
def test_a_ranking_model_ranks(house: FiresideProcess) -> None:
    results = ask(house, "/v1/rerank", "ranks", query="pets", documents=TEXTS)["results"]

    assert sorted(result["index"] for result in results) == [0, 1]
    assert results[0]["relevance_score"] > results[1]["relevance_score"]


@pytest.mark.requirement("I6")
@pytest.mark.parametrize(
    ("path", "model", "fields"),
    [
        ("/v1/chat/completions", "vectors", {"messages": [{"role": "user", "content": "hi"}]}),
        ("/v1/completions", "ranks", {"prompt": "hi"}),
        ("/v1/embeddings", "ranks", {"input": "hi"}),
        ("/v1/rerank", "vectors", {"query": "hi", "documents": ["a"]}),
        ("/api/chat", "vectors", {"messages": [{"role": "user", "content": "hi"}]}),
        ("/api/embed", "ranks", {"input": "hi"}),
    ],
)
def test_what_a_model_was_not_made_for_is_refused_plainly(
    house: FiresideProcess, path: str, model: str, fields: dict[str, Any]
) -> None:
    with pytest.raises(HTTPError) as refused:
        ask(house, path, model, **fields)

    assert refused.value.code == 400
    assert f"{model} " in refused.value.read().decode()
