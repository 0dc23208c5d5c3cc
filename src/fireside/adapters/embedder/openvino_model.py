"""What every embedding model that OpenVINO runs in this process has in common: its batches, its compilation, pooling.

OpenVINO is imported when the model is loaded, which takes a tenth of a second that start-up should not wait for.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from fireside.adapters.embedder.batching import BatchingWorker, Model, TokenIds
from fireside.ports.embedder import EmbedderFacts, Pooling, Vectors

if TYPE_CHECKING:
    from openvino import InferRequest


class OpenVinoEmbedder:
    """Embeds with one model; a batch of all who call at the same time."""

    def __init__(self, facts: EmbedderFacts, load: Callable[[], Model]) -> None:
        """Prepare; the model is loaded by the first call, or by `warm_up`.

        Args:
            facts: About the model.
            load: Makes it, in a thread of its own.
        """
        self._facts = facts
        self._worker = BatchingWorker(load, dimensions=facts.dimensions, thread_name=f"embedder {facts.name}")

    @property
    def facts(self) -> EmbedderFacts:
        """What is known of the model before it is loaded."""
        return self._facts

    @property
    def ready(self) -> bool:
        """Whether the model is loaded."""
        return self._worker.ready

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Embed texts: (n, d) float32, rows of unit length."""
        if not texts:
            return np.empty((0, self._facts.dimensions), dtype=np.float32)
        return await asyncio.wrap_future(self._worker.submit(list(texts)))

    async def warm_up(self) -> None:
        """Load the model and use it once: the first use takes five times as long as the next."""
        await asyncio.wrap_future(self._worker.submit(("first",)))

    async def aclose(self) -> None:
        """End the thread that runs the model."""
        await asyncio.to_thread(self._worker.close)


class Tokenizer(Protocol):
    """Cuts texts into the tokens of a model, at most as many as it reads."""

    def encode(self, texts: Sequence[str]) -> Sequence[TokenIds]:
        """The token ids of each text; at least one."""
        ...


class LoadedModel:
    """A compiled model and its tokenizer."""

    def __init__(self, tokenizer: Tokenizer, request: "InferRequest", *, pooling: Pooling) -> None:
        """Put a model together.

        Args:
            tokenizer: The model's own.
            request: Takes `input_ids` and `attention_mask`, and gives the last hidden states, (n, tokens, d).
            pooling: What of the hidden states stands for a text.
        """
        self._tokenizer = tokenizer
        self._request = request
        self._pooling: Pooling = pooling
        self._has_types = any("token_type_ids" in port.get_names() for port in request.model_inputs)

    def encode(self, texts: Sequence[str]) -> Sequence[TokenIds]:
        """Cut texts into tokens."""
        return self._tokenizer.encode(texts)

    def run(self, batch: Sequence[TokenIds]) -> Vectors:
        """Embed some texts: (len(batch), d), rows of unit length."""
        longest = max(len(ids) for ids in batch)
        tokens = np.zeros((len(batch), longest), dtype=np.int64)
        mask = np.zeros_like(tokens)
        for row, ids in enumerate(batch):
            tokens[row, : len(ids)] = ids
            mask[row, : len(ids)] = 1
        inputs = {"input_ids": tokens, "attention_mask": mask}
        if self._has_types:
            inputs["token_type_ids"] = np.zeros_like(tokens)
        self._request.infer(inputs, share_inputs=True)
        pooled = _pool(self._request.get_output_tensor(0).data, mask, self._pooling)
        return pooled / np.linalg.norm(pooled, axis=1, keepdims=True)


def compile_model(model: Any, *, threads: int, **options: Any) -> "InferRequest":
    """Compile a model for this processor.

    Args:
        model: The path of a model file, or a graph of OpenVINO's.
        threads: Processor threads; 0 lets OpenVINO choose.
        options: Further ones of OpenVINO's processor plugin.
    """
    import openvino  # noqa: PLC0415 - see the module

    chosen = {
        "PERFORMANCE_HINT": "LATENCY",
        "ENABLE_CPU_PINNING": False,  # the language model and other processes share these cores
        **({"INFERENCE_NUM_THREADS": threads} if threads else {}),
        **options,
    }
    return openvino.Core().compile_model(model, "CPU", chosen).create_infer_request()


def _pool(hidden: Vectors, mask: TokenIds, pooling: Pooling) -> Vectors:
    """(n, tokens, d) hidden states and (n, tokens) ones where a token stands -> (n, d)."""
    if pooling == "cls":
        return hidden[:, 0]
    weights = (mask / mask.sum(axis=1, keepdims=True)).astype(np.float32)
    return np.einsum("nl,nld->nd", weights, hidden)
