"""The default embedder keeps the port's promises, with the real model."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from fireside.adapters.embedder.openvino_minilm import OpenVinoMiniLm
from fireside.ports.embedder import EmbedderUnavailableError
from fireside.testing.conformance.embedder import EmbedderConformance


class TestOpenVinoMiniLm(EmbedderConformance):
    @pytest.fixture
    async def embedder(self) -> AsyncIterator[OpenVinoMiniLm]:
        embedder = OpenVinoMiniLm(threads=2)
        yield embedder
        await embedder.aclose()


async def test_nothing_is_loaded_before_the_first_call() -> None:
    embedder = OpenVinoMiniLm()

    assert not embedder.ready
    await embedder.aclose()


async def test_a_missing_model_file_is_named_and_every_call_fails_alike(tmp_path: Path) -> None:
    embedder = OpenVinoMiniLm(model_path=tmp_path / "absent.onnx")

    for _ in range(2):
        with pytest.raises(EmbedderUnavailableError, match=r"absent\.onnx"):
            await embedder.embed(["anything"])
    await embedder.aclose()
