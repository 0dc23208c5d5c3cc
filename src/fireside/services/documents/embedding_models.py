"""Which embedding models there are, which one is searched with, and asking for another."""

from dataclasses import dataclass
from typing import Literal

from fireside.contracts import embeddings, vectors
from fireside.contracts.base import Nothing
from fireside.contracts.embedding_models import EmbeddingModelsView, EmbeddingModelView
from fireside.core.ids import JobId
from fireside.runtime.context import Context
from fireside.runtime.durable import Database, find_keyed_job
from fireside.services.documents.errors import IndexMovingError
from fireside.services.documents.index_moving import find_model
from fireside.services.documents.repository import index_writing
from fireside.services.documents.work import MOVE, MoveIndex

_KEY = "index"


@dataclass(frozen=True, slots=True)
class EmbeddingChoice:
    """Shows and changes the embedding model of the knowledge."""

    database: Database

    async def show(self, context: Context) -> EmbeddingModelsView:
        """Every model, and how the last exchange went or goes.

        Raises:
            UnavailableError: The embedding models or the index are not available.
        """
        inside = context.as_service("documents")
        models = await inside.call(embeddings.MODELS, Nothing())
        index = await inside.call(vectors.GENERATIONS, Nothing())
        serving = models.of_generation(index.active)
        async with self.database.read() as session:
            wanted = await index_writing.wanted(session)
            job = await find_keyed_job(session, MOVE.kind, _KEY)
        return EmbeddingModelsView(
            items=tuple([await _view(inside, model, index) for model in models.items]),
            serving=None if serving is None else serving.name,
            wanted=wanted,
            job=job,
        )

    async def use(self, context: Context, name: str) -> JobId:
        """Have the knowledge searched with another model; returns the job that sees to it.

        Raises:
            NoSuchEmbeddingModelError: There is none of that name.
            IndexMovingError: The index is being moved to another model.
        """
        await find_model(context.as_service("documents"), name)
        async with self.database.transaction(context) as unit:
            before = await index_writing.wanted(unit.session, lock=True)
            job = await find_keyed_job(unit.session, MOVE.kind, _KEY)
            if job is not None and job.state in {"queued", "running"} and before != name:
                raise IndexMovingError(
                    f"the index is being moved to {before!r}: wait for job {job.id}, or cancel it", job_id=str(job.id)
                )
            await index_writing.want(unit.session, name)
            return unit.enqueue(MOVE, MoveIndex(model=name), owner_id=None, key=_KEY)

    async def see_to_it(self, context: Context) -> None:
        """When the model is gone that the index is searched with, or none was chosen yet, move to the default one.

        Raises:
            UnavailableError: The embedding models or the index are not available.
        """
        models = await context.call(embeddings.MODELS, Nothing())
        index = await context.call(vectors.GENERATIONS, Nothing())
        if not index.generations or models.of_generation(index.active) is not None:
            return
        async with self.database.transaction(context) as unit:
            job = await find_keyed_job(unit.session, MOVE.kind, _KEY)
            if job is None or job.state not in {"queued", "running"}:
                await index_writing.want(unit.session, models.default.name)
                unit.enqueue(MOVE, MoveIndex(model=models.default.name), owner_id=None, key=_KEY)


async def _view(
    context: Context, model: embeddings.EmbeddingModel, index: vectors.IndexGenerations
) -> EmbeddingModelView:
    place: Literal["none", "filling", "serving"] = "none"
    passages = 0
    if model.index_name in index.generations:
        place = "serving" if model.index_name == index.active else "filling"
        passages = (await context.call(vectors.COUNT, vectors.CountChunks(generation=model.index_name))).count
    facts = {name: getattr(model, name) for name in ("name", "version", "dimensions", "max_tokens", "pooling", "state")}
    return EmbeddingModelView(**facts, index=place, passages=passages)
