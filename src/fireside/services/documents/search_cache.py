"""What the index found before for an equal search: ids and scores, never texts.

Who may read what, and which version of a document is served, is looked up anew for every search, so a cached find
shows nobody more than a fresh one. Entries are forgotten by collection, when a document of it changes, and all
together, when another generation of the index is searched.
"""

from collections.abc import Awaitable, Callable, Iterable
from hashlib import sha256
from uuid import UUID

from pydantic import TypeAdapter

from fireside.contracts.vectors import Candidates, SearchChunks
from fireside.runtime.caching import Cache

_INDEX = "search-index"


class SearchCache:
    """Candidates by what was searched for and where. Does nothing without a cache."""

    def __init__(self, cache: Cache | None, *, ttl_s: float | Callable[[], float]) -> None:
        self._cache = cache
        self._found = None if cache is None else cache.namespace("search", TypeAdapter(Candidates), ttl_s=ttl_s)

    async def candidates(self, wanted: SearchChunks, search: Callable[[], Awaitable[Candidates]]) -> Candidates:
        """What the index finds, or found for the same words, vector and scope."""
        if self._found is None:
            return await search()
        key = sha256(wanted.model_dump_json().encode()).hexdigest()
        tags = [_tag(collection_id) for collection_id in wanted.scope.collection_ids]
        return await self._found.get_or_load(key, search, tags=(_INDEX, *tags))

    async def collections_changed(self, collection_ids: Iterable[UUID]) -> None:
        """Forget what was found in collections, once a change of documents in them is committed."""
        tags = {_tag(collection_id) for collection_id in collection_ids}
        if self._cache is not None and tags:
            await self._cache.invalidate(*tags)

    async def index_changed(self) -> None:
        """Forget all that was found, once another generation of the index is searched."""
        if self._cache is not None:
            await self._cache.invalidate(_INDEX)


def _tag(collection_id: UUID) -> str:
    return f"collection:{collection_id}"
