"""Finding the passages that answer a query, among those the asker may read."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from fireside.contracts import embeddings, vectors
from fireside.contracts.base import Nothing
from fireside.contracts.documents import FoundPassage, Passages, SearchDocuments
from fireside.core.clock import Clock
from fireside.core.errors import FiresideError
from fireside.ports.vector_index import UnknownGenerationError
from fireside.runtime.context import Context
from fireside.runtime.durable import Database
from fireside.services.documents.access import readable_collections, resolve_collection
from fireside.services.documents.errors import EmptyQueryError
from fireside.services.documents.highlighting import find_highlights
from fireside.services.documents.model import Asker, Found
from fireside.services.documents.ranking import Ranked, rank_passages
from fireside.services.documents.repository import documents
from fireside.services.documents.repository.contents import Contents
from fireside.services.documents.search_cache import SearchCache
from fireside.services.documents.settings import DocumentsSettings
from fireside.services.documents.views import shown_title

log = structlog.stdlib.get_logger(__name__)

NO_MODEL = "The embedding model is not available: found by keywords only."
STILL_LOADING = "The embedding model is still loading: found by keywords only."
_TRIES = 3
BEING_MOVED = "The documents are being embedded anew for another model: found by keywords only."


@dataclass(frozen=True, slots=True)
class _Meaning:
    """A query's vector and the generation that it is compared in, or why there is none."""

    vector: bytes = b""
    generation: str | None = None
    degraded: str | None = None


@dataclass(frozen=True, slots=True)
class Searching:
    """Searches for those who may read."""

    database: Database
    contents: Contents
    searches: SearchCache
    settings: DocumentsSettings
    clock: Clock

    async def search(self, context: Context, request: SearchDocuments) -> Passages:
        """Find passages, best first. Without the embedding model the search goes by keywords, and says so.

        Raises:
            EmptyQueryError: The query is blank.
            CollectionNotFoundError: A collection was named that is not there for the caller.
            UnavailableError: The search index is not available.
        """
        query = " ".join(request.query.split())
        if not query:
            raise EmptyQueryError("q: say what to look for", field="q")
        async with self.database.read() as session:
            scope = await self._scope(session, Asker.of(context.identity), request)
        candidates, degraded = await self._find(context.as_service("documents"), query, request, scope)
        async with self.database.read() as session:
            ids = [candidate.chunk_id for candidate in candidates]
            found = await self.contents.find_served(session, ids, collection_ids=scope.collection_ids)
        ranked = rank_passages(query, [each for each in candidates if each.chunk_id in found], found)
        items = [_passage(query, item, found[item.chunk_id]) for item in ranked[: request.limit]]
        return Passages(items=tuple(items), degraded=(degraded,) if degraded else ())

    async def _find(
        self, context: Context, query: str, request: SearchDocuments, scope: vectors.SearchScope
    ) -> tuple[Sequence[vectors.Candidate], str | None]:
        """What the index finds, and what to say about it. A generation that is dropped meanwhile is looked up anew."""
        for tries_left in reversed(range(_TRIES)):
            meaning = _Meaning()
            if request.mode != "keyword":
                meaning = await self._embed(context, query)
            by_words = request.mode != "vector" or meaning.degraded is not None
            wanted = vectors.SearchChunks(
                scope=scope,
                text=query if by_words else "",
                vector=meaning.vector,
                limit=max(self.settings.search_candidates, request.limit),
                generation=meaning.generation,
            )
            try:
                found = await self.searches.candidates(wanted, partial(context.call, vectors.SEARCH, wanted))
            except FiresideError as error:
                if not tries_left or error.code != UnknownGenerationError.code:
                    raise
            else:
                return found.items, meaning.degraded
        raise AssertionError("the last try returns or raises")

    async def _scope(self, session: AsyncSession, asker: Asker, request: SearchDocuments) -> vectors.SearchScope:
        now = self.clock.now()
        if request.collections:
            named = [await resolve_collection(session, asker, name, now=now) for name in request.collections]
        else:
            named = await readable_collections(session, asker, now=now)
        ids = tuple(dict.fromkeys(collection.id for collection in named))
        if not request.path:
            return vectors.SearchScope(collection_ids=ids)
        below = await documents.ids_below(session, ids, path=request.path)
        return vectors.SearchScope(collection_ids=ids, document_ids=tuple(below))

    async def _embed(self, context: Context, query: str) -> _Meaning:
        """The query's vector by the model whose generation is searched, or none and what to say about it."""
        try:
            models = await context.call(embeddings.MODELS, Nothing())
            index = await context.call(vectors.GENERATIONS, Nothing())
            model = models.default if index.active is None else models.of_generation(index.active)
            if model is None:
                return _Meaning(degraded=BEING_MOVED)
            if model.state == "loading":
                return _Meaning(degraded=STILL_LOADING)
            if index.active is None:
                return _Meaning()
            texts = embeddings.EmbedTexts(texts=(query,), model=model.name)
            made = await context.call(embeddings.EMBED, texts, timeout_s=self.settings.embed_query_timeout_s)
        except FiresideError as error:
            log.warning("query_not_embedded", code=error.code)
            return _Meaning(degraded=NO_MODEL)
        return _Meaning(made.vectors, index.active)


def _passage(query: str, ranked: Ranked, found: Found) -> FoundPassage:
    chunk, document = found.chunk, found.document
    return FoundPassage(
        document_id=document.id,
        chunk_id=chunk.id,
        collection_id=document.collection_id,
        path=document.path,
        title=shown_title(document),
        url=document.url,
        heading=chunk.heading,
        page=chunk.page,
        text=chunk.text,
        score=ranked.score,
        stages=dict(ranked.stages),
        updated_at=document.updated_at,
        start=chunk.start,
        end=chunk.end,
        highlights=find_highlights(query, chunk.text),
    )
