"""The model that the knowledge is searched with: which one it is, which there are, and exchanging it.

Served by the documents service, which has the texts that another model must embed anew.
"""

from typing import Literal

from pydantic import Field

from fireside.contracts.base import Action, Contract, Nothing
from fireside.contracts.jobs import JobView
from fireside.contracts.permissions import MODELS_MANAGE
from fireside.core.ids import JobId

MOVE_JOB = "documents.move_index"
"""The kind of the job that exchanges the model."""


class EmbeddingModelView(Contract):
    """An embedding model.

    `index` says whether the knowledge is searched by its vectors, is being embedded with it, or neither; `passages`
    how many passages its index holds. `state` is whether it is loaded: one that is `idle` is with its first text.
    """

    name: str
    version: str
    dimensions: int
    max_tokens: int
    pooling: str
    state: Literal["idle", "loading", "ready"]
    index: Literal["none", "filling", "serving"]
    passages: int = 0


class EmbeddingModelsView(Contract):
    """Every embedding model, and how the last exchange went or goes.

    `serving` is the one whose vectors are searched; None before anything was indexed, and while the model that was
    searched with is gone. `wanted` is the one that the job moves to, or moved to.
    """

    items: tuple[EmbeddingModelView, ...]
    serving: str | None
    wanted: str | None = None
    job: JobView | None = None


class UseEmbeddingModel(Contract):
    """Search with this model: embed everything anew beside the present index, then exchange the two."""

    model: str = Field(min_length=1, max_length=300)


class MoveBegun(Contract):
    """The job that exchanges the model."""

    job_id: JobId


LIST_MODELS: Action[Nothing, EmbeddingModelsView] = Action(
    "documents.embedding_models", Nothing, EmbeddingModelsView, access=MODELS_MANAGE, idempotent=True
)
USE_MODEL: Action[UseEmbeddingModel, MoveBegun] = Action(
    "documents.use_embedding_model", UseEmbeddingModel, MoveBegun, access=MODELS_MANAGE, idempotent=True
)
