"""Reads the head of a GGUF file, strictly: what a file claims is bounded before anything is reserved or believed.

Engines map such files into memory and follow the offsets in them, so a file is refused here, with a reason, when a
count, a length, a depth or an offset is not one that a real model has. Format: docs/gguf.md of ggml-org/ggml.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, BinaryIO

from fireside.services.explore.errors import UnusableModelFileError
from fireside.services.explore.gguf_types import SCALARS, TENSOR_TYPES

_MOST_KEYS = 20_000
_MOST_TENSORS = 200_000
_LONGEST_KEY = 65_535
_LONGEST_NAME = 255
_LONGEST_TEXT = 16 * 1024**2
_LONGEST_ARRAY = 8_000_000
_LONGEST_KEPT_ARRAY = 1024
_MOST_KEPT = 200_000
_LONGEST_HEAD = 256 * 1024**2
_DEEPEST = 3
_MOST_DIMENSIONS = 4
_MOST_ELEMENTS = 2**44
_LARGEST_ALIGNMENT = 2**16
_TEXT, _ARRAY = 8, 9


class IncompleteHeadError(UnusableModelFileError):
    """The bytes end in the middle of the head."""

    code = "incomplete_model_file"


@dataclass(frozen=True, slots=True)
class Head:
    """What the head of a file says.

    Attributes:
        version: Of the format, 2 or 3.
        metadata: Scalars and texts by key; lists of up to 1024 of them; of longer lists, nothing.
        parameters: Elements of all tensors.
        tensors: How many there are.
        size_bytes: How long the file must be at least.
    """

    version: int
    metadata: Mapping[str, Any]
    parameters: int
    tensors: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class _Tensor:
    name: str
    elements: int
    offset: int
    size_bytes: int


def read_head(file: BinaryIO, *, size_bytes: int) -> Head:
    """Read and check the head.

    Args:
        file: At least the head of the file, from its beginning.
        size_bytes: Length of the whole file, of which `file` may be the first part.

    Raises:
        IncompleteHeadError: `file` ends before the head does.
        UnusableModelFileError: It is no GGUF file, or one that is not what it should be; the text says why.
    """
    reader = _Reader(file, min(size_bytes, _LONGEST_HEAD))
    if reader.take(4) != b"GGUF":
        raise UnusableModelFileError("the file is no GGUF file: it does not begin with 'GGUF'")
    version = reader.number("<I")
    if version not in {2, 3}:
        raise UnusableModelFileError(f"GGUF version {version} is not known (2 and 3 are; others may be big-endian)")
    tensor_count = reader.count("tensors", most=_MOST_TENSORS)
    key_count = reader.count("keys", most=_MOST_KEYS)
    metadata = _metadata(reader, key_count)
    alignment = _alignment(metadata)
    tensors = [_tensor(reader, alignment) for _ in range(tensor_count)]
    begin = -(-reader.position // alignment) * alignment
    if not tensors and not metadata.get("split.count"):
        raise UnusableModelFileError("the file has no tensors")
    end = _checked_layout(tensors, begin=begin, size_bytes=size_bytes)
    return Head(version, metadata, sum(tensor.elements for tensor in tensors), len(tensors), end)


class _Reader:
    """Takes bytes in order, and no more than there can be."""

    def __init__(self, file: BinaryIO, limit: int) -> None:
        self._file, self._limit = file, limit
        self._kept = 0
        self.position = 0

    def take(self, count: int) -> bytes:
        self._pass(count)
        content = self._file.read(count)
        if len(content) < count:
            raise IncompleteHeadError("the file ends in the middle of its head")
        return content

    def skip(self, count: int) -> None:
        self._pass(count)
        self._file.seek(count, 1)

    def number(self, kind: str) -> Any:
        return struct.unpack(kind, self.take(struct.calcsize(kind)))[0]

    def count(self, what: str, *, most: int) -> int:
        count: int = self.number("<Q")
        if count > most:
            raise UnusableModelFileError(f"the file claims {count} {what}; more than {most} no model has")
        return count

    def text(self, what: str, *, longest: int) -> str:
        content = self.take(self.count(f"bytes of {what}", most=longest))
        try:
            return content.decode("utf-8")
        except UnicodeDecodeError as error:
            raise UnusableModelFileError(f"{what} is not UTF-8") from error

    def keep(self, count: int) -> None:
        """Count what is kept in memory."""
        self._kept += count
        if self._kept > _MOST_KEPT:
            raise UnusableModelFileError(f"the lists of the file have more than {_MOST_KEPT} items in all")

    def _pass(self, count: int) -> None:
        self.position += count
        if self.position > self._limit:
            raise UnusableModelFileError("the head of the file claims more bytes than there are")


def _metadata(reader: _Reader, count: int) -> dict[str, Any]:
    metadata: dict[str, Any] = {}
    for _ in range(count):
        key = reader.text("a key", longest=_LONGEST_KEY)
        if not key or key in metadata:
            raise UnusableModelFileError(f"the key {key[:80]!r} is empty or stands there twice")
        metadata[key] = _value(reader, reader.number("<I"), depth=0)
    return metadata


def _value(reader: _Reader, kind: int, *, depth: int) -> Any:
    if kind in SCALARS:
        return reader.number(SCALARS[kind])
    if kind == _TEXT:
        return reader.text("a text", longest=_LONGEST_TEXT)
    if kind != _ARRAY:
        raise UnusableModelFileError(f"a value has the unknown type {kind}")
    return _list(reader, depth=depth)


def _list(reader: _Reader, *, depth: int) -> list[Any] | None:
    if depth >= _DEEPEST:
        raise UnusableModelFileError(f"lists are nested deeper than {_DEEPEST}")
    inner = reader.number("<I")
    length = reader.count("items of a list", most=_LONGEST_ARRAY)
    if length <= _LONGEST_KEPT_ARRAY:
        reader.keep(length)
        return [_value(reader, inner, depth=depth + 1) for _ in range(length)]
    if inner in SCALARS:
        reader.skip(length * struct.calcsize(SCALARS[inner]))
        return None
    if inner != _TEXT:
        raise UnusableModelFileError("a long list of lists")
    for _ in range(length):
        reader.skip(reader.count("bytes of a text", most=_LONGEST_TEXT))
    return None


def _alignment(metadata: Mapping[str, Any]) -> int:
    alignment = metadata.get("general.alignment", 32)
    if type(alignment) is not int or not 8 <= alignment <= _LARGEST_ALIGNMENT or alignment & (alignment - 1):
        raise UnusableModelFileError(f"an alignment of {alignment!r} is not possible")
    return alignment


def _tensor(reader: _Reader, alignment: int) -> _Tensor:
    name = reader.text("a tensor's name", longest=_LONGEST_NAME)
    dimensions = reader.number("<I")
    if not 1 <= dimensions <= _MOST_DIMENSIONS:
        raise UnusableModelFileError(f"tensor {name!r} has {dimensions} dimensions")
    shape = [int(reader.number("<Q")) for _ in range(dimensions)]
    kind, offset = reader.number("<I"), int(reader.number("<Q"))
    elements = prod(shape)
    if not 0 < elements <= _MOST_ELEMENTS:
        raise UnusableModelFileError(f"tensor {name!r} has the impossible shape {shape}")
    if kind not in TENSOR_TYPES:
        raise UnusableModelFileError(f"tensor {name!r} has the unknown type {kind}")
    per_block, block_bytes = TENSOR_TYPES[kind]
    if shape[0] % per_block:
        raise UnusableModelFileError(f"tensor {name!r}: rows of {shape[0]} do not divide into blocks of {per_block}")
    if offset % alignment:
        raise UnusableModelFileError(f"tensor {name!r} is not aligned to {alignment} bytes")
    return _Tensor(name, elements, offset, elements // per_block * block_bytes)


def _checked_layout(tensors: list[_Tensor], *, begin: int, size_bytes: int) -> int:
    """Where the last tensor ends, when all lie inside the file and none over another."""
    if len({tensor.name for tensor in tensors}) < len(tensors):
        raise UnusableModelFileError("two tensors have the same name")
    end = 0
    for tensor in sorted(tensors, key=lambda tensor: tensor.offset):
        if tensor.offset < end:
            raise UnusableModelFileError(f"tensor {tensor.name!r} lies over another")
        end = tensor.offset + tensor.size_bytes
    if begin + end > size_bytes:
        raise UnusableModelFileError(f"the tensors end at byte {begin + end}; the file has {size_bytes}: it was cut")
    return begin + end
