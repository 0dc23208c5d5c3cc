"""What the server and its file readers say to each other over pipes: frames of a length and that many bytes.

Plain JSON, never pickles: a reader that a hostile file took over must not be able to make the server run anything.
"""

import struct
from dataclasses import asdict
from typing import Any

import orjson

from fireside.core.errors import FiresideError, error_from_dict
from fireside.ports.document_parser import Block, ParsedDocument, ParseLimits

LENGTH = struct.Struct(">Q")
"""The length of a frame comes before it."""
READY = b"ready"
"""The first frame a reader sends."""


def frame(payload: bytes) -> bytes:
    """The payload with its length before it."""
    return LENGTH.pack(len(payload)) + payload


def encode_request(*, media_type: str, limits: ParseLimits, path: str | None) -> bytes:
    """What to read; the content follows in a frame of its own when no path is given."""
    return orjson.dumps({"media_type": media_type, "limits": asdict(limits), "path": path})


def decode_request(payload: bytes) -> tuple[str, ParseLimits, str | None]:
    """Media type, limits and path of a request."""
    data = orjson.loads(payload)
    return data["media_type"], ParseLimits(**data["limits"]), data["path"]


def encode_document(document: ParsedDocument) -> bytes:
    """A result."""
    blocks = [(block.start, block.end, block.kind, block.headings, block.page) for block in document.blocks]
    return orjson.dumps({"title": document.title, "text": document.text, "blocks": blocks})


def encode_error(error: FiresideError) -> bytes:
    """A failure."""
    return orjson.dumps({"error": error.to_dict()}, default=str)


def decode_result(payload: bytes) -> ParsedDocument:
    """The document that a reader made.

    Raises:
        FiresideError: What the reader reported in its place.
        ValueError: The bytes are no result.
    """
    data: Any = orjson.loads(payload)
    if "error" in data:
        raise error_from_dict(data["error"])
    blocks = tuple(Block(start, end, kind, tuple(path), page) for start, end, kind, path, page in data["blocks"])
    return ParsedDocument(data["title"], data["text"], blocks)
