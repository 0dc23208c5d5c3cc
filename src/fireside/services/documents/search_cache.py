"""What the index found before for an equal search: ids and scores, never texts.

Who may read what, and which version of a document is served, is looked up anew for every search, so a cached find
shows nobody more than a fresh one. Entries are forgotten by collection, when a document of it changes, and all
together, when another generation of the index is searched.

The searches that come most often are made again when the node starts and when the cache was emptied, so that nobody
waits for them. A find that is loaded so is as fresh as any other.
"""

from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from hashlib import sha256
from uuid import UUID

from pydantic import TypeAdapter

from fireside.contracts.vectors import Candidates, SearchChunks
from fireside.core.errors import FiresideError
from fireside.ports.vector_index import UnknownGenerationError
from fireside.runtime.caching import Cache, CacheNamespace, Often

_INDEX = "search-index"

Search = Callable[[SearchChunks], Awaitable[Candidates]]


class SearchCache:
    """Candidates by what was searched for and where. Does nothing without a cache."""

    def __init__(
        self, cache: Cache | None, *, ttl_s: float | Callable[[], float], often: Often[SearchChunks] | None = None
    ) -> None:
        """Keep finds for a while.

        Args:
            cache: Where; nowhere when None.
            ttl_s: How long.
            often: Knows which searches come most often; None to keep none of them warm.
        """
        self._cache, self._often = cache, often
        self._found = None if cache is None else cache.namespace("search", TypeAdapter(Candidates), ttl_s=ttl_s)

    async def start(self, search: Search) -> None:
        """Begin to make the searches that come most often before they come."""
        if self._cache is None or self._found is None or self._often is None:
            return
        await self._often.start()
        self._cache.keep_warm("search", partial(_search_often, self._often, self._found, search))

    async def stop(self) -> None:
        """Note the searches that came most often."""
        if self._often is not None:
            await self._often.stop()

    async def candidates(self, wanted: SearchChunks, search: Callable[[], Awaitable[Candidates]]) -> Candidates:
        """What the index finds, or found for the same words, vector and scope."""
        if self._found is None:
            return await search()
        key = sha256(wanted.model_dump_json().encode()).hexdigest()
        if self._often is not None:
            self._often.note(key, wanted)
        return await self._found.get_or_load(key, search, tags=_tags(wanted))

    def collections_gone(self, collection_ids: Iterable[UUID]) -> None:
        """Remember no search in collections that are deleted."""
        gone = set(collection_ids)
        if self._often is not None:
            self._often.forget(lambda wanted: not gone.isdisjoint(wanted.scope.collection_ids))

    async def collections_changed(self, collection_ids: Iterable[UUID]) -> None:
        """Forget what was found in collections, once a change of documents in them is committed."""
        tags = {_tag(collection_id) for collection_id in collection_ids}
        if self._cache is not None and tags:
            await self._cache.invalidate(*tags)

    async def index_changed(self) -> None:
        """Forget all that was found, once another generation of the index is searched."""
        if self._cache is not None:
            await self._cache.invalidate(_INDEX)


async def _search_often(often: Often[SearchChunks], found: CacheNamespace[Candidates], search: Search) -> None:
    """Make them one after the other: whoever asks meanwhile is not to wait for all of them."""
    for key, wanted in often.best().items():
        try:
            await found.get_or_load(key, partial(search, wanted), tags=_tags(wanted))
        except FiresideError as error:
            if error.code != UnknownGenerationError.code:
                raise
            often.forget(lambda known, gone=wanted.generation: known.generation == gone)


def _tags(wanted: SearchChunks) -> tuple[str, ...]:
    return (_INDEX, *(_tag(collection_id) for collection_id in wanted.scope.collection_ids))


def _tag(collection_id: UUID) -> str:
    return f"collection:{collection_id}"
