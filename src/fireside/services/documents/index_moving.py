"""The job that moves the search index to another embedding model, while the old generation goes on being searched.

A second generation is filled beside the first; whatever is indexed or deleted meanwhile is written to both. When no
passage is missing the new one takes over at once for all nodes, and the old one goes when the searches that began in it
have ended. docs/decisions/two-models-side-by-side.md says why nothing is lost on the way.
"""

import asyncio
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import structlog

from fireside.contracts import embeddings, vectors
from fireside.contracts.base import Nothing
from fireside.core.errors import FiresideError
from fireside.runtime.context import Context
from fireside.runtime.durable import Database, JobCancelledError, JobRun
from fireside.services.documents.errors import NoSuchEmbeddingModelError
from fireside.services.documents.index_filling import Filling
from fireside.services.documents.index_writer import Target
from fireside.services.documents.repository import index_writing
from fireside.services.documents.search_cache import SearchCache
from fireside.services.documents.settings import DocumentsSettings
from fireside.services.documents.work import MOVE

log = structlog.stdlib.get_logger(__name__)

_FILLED_PERCENT, _WHOLE_PERCENT, _SWITCHED_PERCENT = 90.0, 97.0, 98.0


async def find_model(context: Context, name: str) -> embeddings.EmbeddingModel:
    """An embedding model by name.

    Raises:
        NoSuchEmbeddingModelError: There is none.
        UnavailableError: The embedding models are not available.
    """
    models = await context.call(embeddings.MODELS, Nothing())
    model = models.find(name)
    if model is None:
        known = ", ".join(each.name for each in models.items)
        raise NoSuchEmbeddingModelError(f"there is no embedding model {name!r} (there is: {known})", model=name)
    return model


@dataclass(frozen=True, slots=True)
class Moving:
    """Exchanges the embedding model."""

    database: Database
    filling: Filling
    searches: SearchCache
    settings: DocumentsSettings

    async def move(self, context: Context, run: JobRun, name: str) -> dict[str, Any]:
        """Fill the generation of a model, search it, drop the others. When it is searched already, see to it only.

        Returns:
            What is searched now: `model`, `generation`, how many `documents` and `passages` there are, and how many
            passages the index holds, `in_index`.

        Raises:
            NoSuchEmbeddingModelError: There is no such model; what was searched goes on being searched, as with any
                error.
            UnavailableError: The embedding model or the index is not available; what is done stays done.
        """
        model = await find_model(context, name)
        target = Target(model.index_name, model)
        try:
            return await self._move(context, run, model, target)
        except JobCancelledError:
            await self._give_up(context, target)
            raise
        except FiresideError as error:
            if MOVE.gives_up(error, attempt=run.attempt):
                await self._give_up(context, target)
            raise

    async def _move(
        self, context: Context, run: JobRun, model: embeddings.EmbeddingModel, target: Target
    ) -> dict[str, Any]:
        index = await context.call(vectors.GENERATIONS, Nothing())
        if index.active != target.generation:
            await self._fill(context, run, model, target)
            await context.call(vectors.ACTIVATE, vectors.GenerationName(generation=target.generation))
            self.database.probe("index switched")
        async with self.database.transaction(context) as unit:
            await index_writing.advance(unit.session)
        await self.searches.index_changed()
        await run.progress(_SWITCHED_PERCENT, "letting searches end")
        await asyncio.sleep(self.settings.index_handover_s)
        passages = await self.filling.complete(context, target)
        await self._drop_others(context, target)
        count = await context.call(vectors.COUNT, vectors.CountChunks(generation=target.generation))
        facts = {"model": model.name, "generation": target.generation, "documents": await self.filling.count()}
        return {**facts, "passages": passages, "in_index": count.count}

    async def _fill(self, context: Context, run: JobRun, model: embeddings.EmbeddingModel, target: Target) -> None:
        name = target.generation
        await context.call(vectors.PREPARE, vectors.PrepareGeneration(generation=name, dimensions=model.dimensions))
        kept = run.checkpoint if run.checkpoint.get("generation") == name else {}
        if not kept:
            async with self.database.transaction(context) as unit:
                await index_writing.advance(unit.session)
                await run.save({"generation": name, "after": None, "documents": 0}, unit=unit)
        after, count, total = kept.get("after"), int(kept.get("documents", 0)), await self.filling.count()
        async for page in self.filling.pages(None if after is None else UUID(after)):
            for document in page:
                await self.filling.embed(context, [document], target)
                count += 1
                await run.progress(_FILLED_PERCENT * count / max(total, count), "embedding", document.path)
            await run.save({"generation": name, "after": str(page[-1].id), "documents": count})
        await run.progress(_FILLED_PERCENT, "verifying")
        await self.filling.complete(context, target)
        await run.progress(_WHOLE_PERCENT, "switching")

    async def _drop_others(self, context: Context, target: Target) -> None:
        index = await context.call(vectors.GENERATIONS, Nothing())
        for other in index.generations:
            if other != target.generation:
                await context.call(vectors.DROP, vectors.GenerationName(generation=other))
        self.database.probe("old generation dropped")

    async def _give_up(self, context: Context, target: Target) -> None:
        """Remove what was filled in vain, unless it is searched by now; the next job does, when this cannot."""
        try:
            index = await context.call(vectors.GENERATIONS, Nothing())
            if index.active != target.generation:
                await context.call(vectors.DROP, vectors.GenerationName(generation=target.generation))
        except FiresideError as error:
            log.warning("generation_not_dropped", generation=target.generation, code=error.code)
