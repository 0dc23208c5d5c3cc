"""Real models with random weights, small enough to be made for a test, that llama.cpp loads and runs."""

import struct
from typing import Any

import numpy as np

from tests.gguf import ARRAY, TEXT, head, padded, tensor
from tests.gguf import text as encoded

_WIDTH, _HEADS, _WIDE, _CONTEXT = 32, 4, 64, 128
_MEAN, _RANK = 1, 4
_U16, _I32 = 2, 5
_WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + [
    start + chr(97 + letter) for start in ("\u2581", "") for letter in range(26)
]


def bert_file(*, ranks: bool = False) -> bytes:
    """A BERT of one layer that turns texts into vectors of 32 numbers, or ranks them."""
    return _file(_metadata(_RANK if ranks else _MEAN), _weights(ranks=ranks))


def bert_parts(count: int) -> dict[str, bytes]:
    """The same that makes vectors, in several files, by their names."""
    weights = _weights(ranks=False)
    names = list(weights)
    files: dict[str, bytes] = {}
    for number in range(count):
        split = {
            "split.no": struct.pack("<IH", _U16, number),
            "split.count": struct.pack("<IH", _U16, count),
            "split.tensors.count": struct.pack("<Ii", _I32, len(weights)),
        }
        metadata = split | (_metadata(_MEAN) if number == 0 else {})
        files[f"tiny-{number + 1:05}-of-{count:05}.gguf"] = _file(
            metadata, {name: weights[name] for name in names[number::count]}
        )
    return files


def _file(metadata: dict[str, Any], weights: dict[str, Any]) -> bytes:
    tensors, content = list[bytes](), b""
    for name, values in weights.items():
        tensors.append(tensor(name, 0, len(content), kind=0, shape=values.shape[::-1]))
        content += padded(values.tobytes())
    return padded(head(metadata, tensors)) + content


def _weights(*, ranks: bool) -> dict[str, Any]:
    chance, layer = np.random.default_rng(1), "blk.0."
    shapes: dict[str, tuple[int, ...]] = {
        "token_embd.weight": (len(_WORDS), _WIDTH),
        "token_types.weight": (2, _WIDTH),
        "position_embd.weight": (_CONTEXT, _WIDTH),
        f"{layer}ffn_up.weight": (_WIDE, _WIDTH),
        f"{layer}ffn_up.bias": (_WIDE,),
        f"{layer}ffn_down.weight": (_WIDTH, _WIDE),
        f"{layer}ffn_down.bias": (_WIDTH,),
    }
    for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
        shapes |= {f"{layer}{name}.weight": (_WIDTH, _WIDTH), f"{layer}{name}.bias": (_WIDTH,)}
    for name in ("token_embd_norm", f"{layer}attn_output_norm", f"{layer}layer_output_norm"):
        shapes |= {f"{name}.weight": (_WIDTH,), f"{name}.bias": (_WIDTH,)}
    if ranks:
        shapes |= {"cls.weight": (_WIDTH, _WIDTH), "cls.bias": (_WIDTH,)}
        shapes |= {"cls.output.weight": (1, _WIDTH), "cls.output.bias": (1,)}
    return {name: chance.normal(0, 0.3, shape).astype("<f4") for name, shape in shapes.items()}


def _metadata(pooling: int) -> dict[str, Any]:
    kinds = [3] * 5 + [1] * (len(_WORDS) - 5)
    return {
        "general.architecture": "bert",
        "general.type": "model",
        "general.name": "tiny",
        "bert.context_length": _CONTEXT,
        "bert.embedding_length": _WIDTH,
        "bert.feed_forward_length": _WIDE,
        "bert.block_count": 1,
        "bert.attention.head_count": _HEADS,
        "bert.attention.layer_norm_epsilon": struct.pack("<If", 6, 1e-12),
        "bert.attention.causal": struct.pack("<IB", 7, 0),
        "bert.pooling_type": pooling,
        "tokenizer.ggml.model": "bert",
        "tokenizer.ggml.pre": "default",
        "tokenizer.ggml.tokens": struct.pack("<IIQ", ARRAY, TEXT, len(_WORDS)) + b"".join(map(encoded, _WORDS)),
        "tokenizer.ggml.token_type": struct.pack(f"<IIQ{len(kinds)}i", ARRAY, 5, len(kinds), *kinds),
        "tokenizer.ggml.token_type_count": 2,
        "tokenizer.ggml.unknown_token_id": 1,
        "tokenizer.ggml.padding_token_id": 0,
        "tokenizer.ggml.mask_token_id": 4,
        "tokenizer.ggml.bos_token_id": 2,
        "tokenizer.ggml.eos_token_id": 3,
        "tokenizer.ggml.seperator_token_id": 3,
    }
