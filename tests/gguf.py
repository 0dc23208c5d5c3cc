"""Small GGUF files for tests: right ones, and with any part of them wrong."""

import struct
from collections.abc import Mapping
from typing import Any

U32, TEXT, ARRAY = 4, 8, 9
MODEL: Mapping[str, Any] = {
    "general.architecture": "llama",
    "general.type": "model",
    "general.basename": "Tiny",
    "general.license": "apache-2.0",
    "general.languages": ["en", "de"],
    "general.file_type": 7,
    "llama.context_length": 4096,
    "llama.block_count": 2,
    "llama.embedding_length": 64,
    "llama.attention.head_count": 4,
    "llama.attention.head_count_kv": 2,
}


def text(value: str | bytes) -> bytes:
    raw = value.encode() if isinstance(value, str) else value
    return struct.pack("<Q", len(raw)) + raw


def value_of(value: Any) -> bytes:
    """A typed value: int, str, or a list of str."""
    if isinstance(value, bytes):  # as it is, type and all
        return value
    if isinstance(value, int):
        return struct.pack("<II", U32, value)
    if isinstance(value, str):
        return struct.pack("<I", TEXT) + text(value)
    return struct.pack("<IIQ", ARRAY, TEXT, len(value)) + b"".join(text(item) for item in value)


def tensor(name: str, elements: int, offset: int, *, kind: int = 24, shape: tuple[int, ...] | None = None) -> bytes:
    """An entry of the list of tensors; kind 24 has one byte an element."""
    dimensions = shape or (elements,)
    sizes = b"".join(struct.pack("<Q", size) for size in dimensions)
    return text(name) + struct.pack("<I", len(dimensions)) + sizes + struct.pack("<IQ", kind, offset)


def head(
    metadata: Mapping[str, Any],
    tensors: list[bytes],
    *,
    version: int = 3,
    keys: int | None = None,
    count: int | None = None,
) -> bytes:
    counts = struct.pack("<QQ", len(tensors) if count is None else count, len(metadata) if keys is None else keys)
    pairs = b"".join(text(key) + value_of(value) for key, value in metadata.items())
    return b"GGUF" + struct.pack("<I", version) + counts + pairs + b"".join(tensors)


def padded(content: bytes, alignment: int = 32) -> bytes:
    return content + b"\0" * (-len(content) % alignment)


def model_file(weight_bytes: int = 1000, *, seed: int = 1, **changed: Any) -> bytes:
    """A whole file; the same arguments make the same bytes."""
    known = {key.replace("__", "."): value for key, value in changed.items()}
    weights = (b"%08d" % seed * (weight_bytes // 8 + 1))[:weight_bytes]
    return padded(head({**MODEL, **known}, [tensor("w", weight_bytes, 0)])) + weights
