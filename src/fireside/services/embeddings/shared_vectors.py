"""Vectors that nodes share, by what they were made of. Holds digests of texts, never texts."""

import asyncio
from collections.abc import Mapping, Sequence

from pydantic import TypeAdapter

from fireside.contracts.base import Contract
from fireside.runtime.caching import Cache


class _Row(Contract):
    """One vector, little-endian float32."""

    data: bytes


class SharedVectors:
    """A namespace of the cache that takes and gives several vectors at once."""

    def __init__(self, cache: Cache, *, ttl_s: float) -> None:
        self._rows = cache.namespace("embeddings_shared", TypeAdapter(_Row), ttl_s=ttl_s)

    async def find(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """Those of the vectors that are kept."""
        found = await asyncio.gather(*(self._rows.get(key.hex()) for key in keys))
        return {key: row.data for key, row in zip(keys, found, strict=True) if row is not None}

    async def keep(self, rows: Mapping[bytes, bytes]) -> None:
        """Keep vectors from now on."""
        await asyncio.gather(*(self._rows.put(key.hex(), _Row(data=row)) for key, row in rows.items()))
