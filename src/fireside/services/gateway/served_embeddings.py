"""Vectors from a model that the inference service serves, for dialects that do not pass its reply through."""

import struct
from collections.abc import Sequence
from contextlib import aclosing
from typing import Any

import orjson

from fireside.contracts import inference
from fireside.contracts.embeddings import Embeddings
from fireside.core.errors import UpstreamError
from fireside.core.openai_wire import refusal
from fireside.runtime.context import Context

PATH = "/v1/embeddings"


async def embed_served(
    context: Context, model: str, texts: Sequence[str], *, dimensions: int | None = None
) -> Embeddings:
    """Have a served model turn texts into vectors, of another length than its usual one if it can.

    Raises:
        NotFoundError: There is no model of that name.
        InvalidInputError: It was made for something else, or a text is too long for it.
        UpstreamError: Its server answered wrongly.
    """
    wish: dict[str, Any] = {"model": model, "input": list(texts), "encoding_format": "float"}
    body = orjson.dumps(wish | ({} if dimensions is None else {"dimensions": dimensions}))
    status, content = 500, b""
    async with aclosing(
        context.stream(inference.FORWARD, inference.Forward(path=PATH, model=model, body=body))
    ) as items:
        async for item in items:
            if isinstance(item, inference.ForwardHead):
                status = item.status
            else:
                content += item.data
    if status != 200:
        raise refusal(status, content)
    rows = _rows(content)
    return Embeddings(
        model=model, dimensions=len(rows[0]), vectors=b"".join(struct.pack(f"<{len(row)}f", *row) for row in rows)
    )


def _rows(content: bytes) -> list[list[float]]:
    try:
        data: list[dict[str, Any]] = orjson.loads(content)["data"]
        rows = [row["embedding"] for row in sorted(data, key=lambda row: int(row["index"]))]
    except (KeyError, TypeError, ValueError) as error:
        raise UpstreamError("the model's server did not answer with vectors") from error
    if not rows:
        raise UpstreamError("the model's server did not answer with vectors")
    return rows
