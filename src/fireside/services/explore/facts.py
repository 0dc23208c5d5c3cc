"""What the head of a model file tells about the model: family, window, and what a token of context costs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from fireside.contracts.inference import AnswerStyle, ModelKind
from fireside.services.explore.errors import UnusableModelFileError
from fireside.services.explore.gguf import Head
from fireside.services.explore.gguf_types import FILE_TYPES

_KV_BYTES = 2
"""Keys and values are kept as 16-bit numbers."""
_WRITES_FROM_PARAMETERS = 1_000_000_000
"""Smaller models cannot be trusted with facts: they quote."""
_MOST_TOKENS = 2**30
_POOLS_VECTORS, _POOLS_RANKS = frozenset({1, 2, 3}), 4
"""`llama_pooling_type`: mean, first and last token; rank."""
_ENCODERS = frozenset(
    {"bert", "nomic-bert", "nomic-bert-moe", "jina-bert-v2", "jina-bert-v3", "modern-bert", "neo-bert", "eurobert"}
    | {"gemma-embedding", "llama-embed"}
)
"""Architectures of llama.cpp that read and do not write."""


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """Facts of one model.

    Attributes:
        kv_bytes_per_token: Memory for keys and values of one token of context, all layers together; None when the
            architecture keeps them in another way.
    """

    architecture: str
    family: str
    title: str | None = None
    quantisation: str | None = None
    parameters: int = 0
    context_tokens: int | None = None
    kv_bytes_per_token: int | None = None
    licence: str | None = None
    languages: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    kind: ModelKind = "chat"

    @property
    def answer_style(self) -> AnswerStyle:
        """Whether it may write, or only quotes."""
        return "write" if self.parameters >= _WRITES_FROM_PARAMETERS else "quote"


def facts_of(head: Head) -> ModelFacts:
    """Read the facts.

    Raises:
        UnusableModelFileError: It is a part of a model, or something beside one.
    """
    found = head.metadata
    architecture = _text(found.get("general.architecture"))
    if architecture is None:
        raise UnusableModelFileError("the file does not say of which architecture the model is")
    if (kind := _text(found.get("general.type"))) not in {None, "model"} or architecture in {"clip", "mmproj"}:
        raise UnusableModelFileError(f"the file is no language model: its type is {kind!r}, of {architecture!r}")
    if (_count(found.get("split.count")) or 0) > 1:
        raise UnusableModelFileError("the file is one of several parts of a model: name the first, by its own name")
    file_type = found.get("general.file_type")
    return ModelFacts(
        architecture=architecture,
        family=(_text(found.get("general.basename")) or architecture).lower(),
        title=_text(found.get("general.name")),
        quantisation=FILE_TYPES.get(file_type) if isinstance(file_type, int) else None,
        parameters=head.parameters,
        context_tokens=_count(found.get(f"{architecture}.context_length")),
        kv_bytes_per_token=_kv_bytes(found, architecture),
        licence=_text(found.get("general.license")),
        languages=_texts(found.get("general.languages")),
        tags=_texts(found.get("general.tags")),
        kind=_kind(found, architecture),
    )


def facts_of_parts(heads: Sequence[Head]) -> ModelFacts:
    """Read the facts of a model in several files, which are all there, in order.

    Raises:
        UnusableModelFileError: They are not the parts of one model.
    """
    for number, head in enumerate(heads):
        if (head.metadata.get("split.no"), head.metadata.get("split.count")) != (number, len(heads)):
            raise UnusableModelFileError(f"the file is not part {number + 1} of {len(heads)} of a model")
    metadata, tensors = heads[0].metadata, sum(head.tensors for head in heads)
    if metadata.get("split.tensors.count") != tensors:
        raise UnusableModelFileError(f"the parts have {tensors} tensors, not {metadata.get('split.tensors.count')}")
    whole = {key: value for key, value in metadata.items() if not key.startswith("split.")}
    return facts_of(replace(heads[0], metadata=whole, parameters=sum(head.parameters for head in heads)))


def _kind(found: Mapping[str, Any], architecture: str) -> ModelKind:
    """What it was made for: models that pool what they read into one vector, or into a rank, do not write."""
    pooling = found.get(f"{architecture}.pooling_type")
    if pooling == _POOLS_RANKS:
        return "rerank"
    return "embedding" if architecture in _ENCODERS or pooling in _POOLS_VECTORS else "chat"


def _kv_bytes(found: Mapping[str, Any], architecture: str) -> int | None:
    layers = _count(found.get(f"{architecture}.block_count"))
    width, heads = (
        _count(found.get(f"{architecture}.embedding_length")),
        _first(found.get(f"{architecture}.attention.head_count")),
    )
    if not layers or not width or not heads:
        return None
    per_head = width // heads
    key = _count(found.get(f"{architecture}.attention.key_length")) or per_head
    value = _count(found.get(f"{architecture}.attention.value_length")) or per_head
    kv_heads = found.get(f"{architecture}.attention.head_count_kv", heads)
    if isinstance(kv_heads, list):  # some architectures have another number in each layer
        total = sum(_count(count) or 0 for count in cast("list[Any]", kv_heads))
    else:
        total = layers * (_count(kv_heads) or heads)
    return total * (key + value) * _KV_BYTES


def _first(value: Any) -> int | None:
    if isinstance(value, list):
        return max((_count(item) or 0 for item in cast("list[Any]", value)), default=0) or None
    return _count(value)


def _count(value: Any) -> int | None:
    return value if type(value) is int and 0 < value <= _MOST_TOKENS else None


def _text(value: Any) -> str | None:
    return value.strip()[:200] or None if isinstance(value, str) else None


def _texts(value: Any) -> tuple[str, ...]:
    items = cast("list[Any]", value) if isinstance(value, list) else []
    return tuple(item[:50] for item in items if isinstance(item, str))[:50]
