"""The encoder of BERT (Devlin and others, 2018) as a graph of OpenVINO's, from the weights of a safetensors file.

Models are published as weights with the names that Hugging Face's `BertModel` gives them. Writing the graph down here
takes a screen; converting it would take PyTorch along.
"""

import json
import mmap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fireside.ports.embedder import EmbedderUnavailableError

_TYPES = {"F32": np.float32, "F16": np.float16, "I64": np.int64}


def read_weights(path: Path) -> Mapping[str, NDArray[Any]]:
    """The tensors of a safetensors file, by name without the prefix `bert.`, read when they are used.

    The file is the length of its header (8 bytes, little-endian), the header as JSON, and the tensors' bytes.

    Raises:
        EmbedderUnavailableError: A tensor is of a type that is not supported.
        OSError: The file cannot be read.
        ValueError: It is not such a file.
    """
    with path.open("rb") as file:
        data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    start = 8 + int.from_bytes(data[:8], "little")
    header: dict[str, Any] = json.loads(bytes(data[8:start]))
    weights: dict[str, NDArray[Any]] = {}
    for name, facts in header.items():
        if name == "__metadata__":
            continue
        if facts["dtype"] not in _TYPES:
            raise EmbedderUnavailableError(f"{path.name}: {name} is {facts['dtype']}; F32 and F16 can be read")
        first, last = facts["data_offsets"]
        values = np.frombuffer(data[start + first : start + last], dtype=_TYPES[facts["dtype"]])
        weights[name.removeprefix("bert.")] = values.reshape(facts["shape"])
    return weights


class BertGraph:
    """Builds the graph: (n, tokens) `input_ids` and `attention_mask` in, (n, tokens, d) hidden states out."""

    def __init__(self, weights: Mapping[str, NDArray[Any]], config: Mapping[str, Any]) -> None:
        """Prepare.

        Args:
            weights: By name.
            config: The model's `config.json`.
        """
        import openvino  # noqa: PLC0415 - takes a tenth of a second, which start-up should not wait for
        from openvino import opset13  # noqa: PLC0415 - as above

        self._openvino: Any = openvino
        self._ops: Any = opset13
        self._weights = weights
        self._width = int(config["hidden_size"])
        self._heads = int(config["num_attention_heads"])
        self._layers = int(config["num_hidden_layers"])
        self._epsilon = float(config.get("layer_norm_eps", 1e-12))

    def build(self) -> Any:
        """The graph, an `openvino.Model`.

        Raises:
            KeyError: A tensor is missing.
        """
        ops = self._ops
        tokens = ops.parameter([-1, -1], np.int64, name="input_ids")
        mask = ops.parameter([-1, -1], np.int64, name="attention_mask")
        tokens.output(0).set_names({"input_ids"})
        mask.output(0).set_names({"attention_mask"})
        absent = ops.subtract(np.float32(1), ops.convert(mask, "f32"))
        bias = ops.unsqueeze(ops.multiply(absent, np.float32(-1e9)), np.array([1, 2], dtype=np.int64))
        states = self._embed(tokens)
        for number in range(self._layers):
            states = self._layer(f"encoder.layer.{number}.", states, bias)
        return self._openvino.Model([ops.result(states)], [tokens, mask], "bert")

    def _embed(self, tokens: Any) -> Any:
        ops, table = self._ops, "embeddings.{}_embeddings.weight"
        words = ops.gather(self._constant(table.format("word")), tokens, np.int64(0))
        count = ops.gather(ops.shape_of(tokens, "i64"), np.int64(1), np.int64(0))
        positions = ops.range(np.int64(0), count, np.int64(1), "i64")
        places = ops.gather(self._constant(table.format("position")), positions, np.int64(0))
        first_type = self._weights[table.format("token_type")][0].astype(np.float32)
        return self._normalised("embeddings.LayerNorm", ops.add(ops.add(words, places), first_type))

    def _layer(self, name: str, states: Any, bias: Any) -> Any:
        ops = self._ops
        query, key, value = (
            self._split(self._linear(f"{name}attention.self.{part}", states)) for part in ("query", "key", "value")
        )
        scale = np.float32(1 / np.sqrt(self._width // self._heads))
        scores = ops.add(ops.multiply(ops.matmul(query, key, False, True), scale), bias)
        seen = ops.transpose(ops.matmul(ops.softmax(scores, -1), value, False, False), np.array([0, 2, 1, 3]))
        joined = ops.reshape(seen, np.array([0, 0, self._width]), True)
        attended = ops.add(states, self._linear(f"{name}attention.output.dense", joined))
        states = self._normalised(f"{name}attention.output.LayerNorm", attended)
        inner = ops.gelu(self._linear(f"{name}intermediate.dense", states), "erf")
        return self._normalised(f"{name}output.LayerNorm", ops.add(states, self._linear(f"{name}output.dense", inner)))

    def _split(self, states: Any) -> Any:
        """(n, tokens, d) -> (n, heads, tokens, d / heads)."""
        shape = np.array([0, 0, self._heads, self._width // self._heads])
        return self._ops.transpose(self._ops.reshape(states, shape, True), np.array([0, 2, 1, 3]))

    def _linear(self, name: str, states: Any) -> Any:
        product = self._ops.matmul(states, self._constant(f"{name}.weight"), False, True)
        return self._ops.add(product, self._constant(f"{name}.bias"))

    def _normalised(self, name: str, states: Any) -> Any:
        even = self._ops.mvn(states, np.array([-1]), True, self._epsilon, "INSIDE_SQRT")
        return self._ops.add(self._ops.multiply(even, self._constant(f"{name}.weight")), self._constant(f"{name}.bias"))

    def _constant(self, name: str) -> Any:
        return self._ops.constant(self._weights[name].astype(np.float32))
