"""What is offered to clients of every dialect: the pipeline, the models that answer, the one that embeds."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from fireside.contracts import embeddings, inference
from fireside.contracts.base import Nothing
from fireside.core.errors import InvalidInputError, NotFoundError, UnavailableError
from fireside.runtime.context import Context
from fireside.services.gateway.openai_dialect import PIPELINE_MODEL
from fireside.services.gateway.served_embeddings import embed_served

MOST_TEXTS = 8192


class UnknownModelError(NotFoundError):
    """There is no model of that name."""

    code = "model_not_found"


@dataclass(frozen=True, slots=True)
class Offered:
    """What there is at the moment: a part that is not available is left out, as the pipeline answers without."""

    models: tuple[inference.ModelProfile, ...] = ()
    embedders: tuple[embeddings.EmbeddingModel, ...] = ()

    @property
    def names(self) -> list[str]:
        """Every name, the pipeline's first."""
        return [PIPELINE_MODEL, *(model.name for model in (*self.models, *self.embedders))]

    @property
    def embedder(self) -> str | None:
        """The embedding model that is meant when none is named."""
        return self.embedders[0].name if self.embedders else None

    def find_embedder(self, name: str) -> embeddings.EmbeddingModel | None:
        """The facts about a model that embeds."""
        return next((model for model in self.embedders if model.name == name), None)

    def find_profile(self, name: str) -> inference.ModelProfile | None:
        """The facts about a model that answers."""
        return next((model for model in self.models if model.name == name), None)

    def require(self, name: str) -> None:
        """Pass when there is something of that name.

        Raises:
            UnknownModelError: There is not.
        """
        if name not in self.names:
            raise UnknownModelError(f"there is no model {name!r} (there is: {', '.join(self.names)})", model=name)


async def offered(context: Context) -> Offered:
    """What this caller may use."""
    models: tuple[inference.ModelProfile, ...] = ()
    embedders: tuple[embeddings.EmbeddingModel, ...] = ()
    with suppress(UnavailableError):
        models = (await context.call(inference.MODELS, Nothing())).items
    with suppress(UnavailableError):
        embedders = (await context.as_service("gateway").call(embeddings.MODELS, Nothing())).items
    return Offered(models, embedders)


async def embed(
    context: Context, model: str, texts: Sequence[str], *, dimensions: int | None = None
) -> embeddings.Embeddings:
    """Turn texts into vectors.

    Args:
        context: Of whoever asks.
        model: The name of an embedding model.
        texts: One to 8192.
        dimensions: The length that the vectors shall have; those of Fireside's own models cannot be cut.

    Raises:
        UnknownModelError: There is no embedding model of that name.
        InvalidInputError: Too many texts, none, or another length.
        UnavailableError: The model is not there.
    """
    if not 0 < len(texts) <= MOST_TEXTS:
        raise InvalidInputError(f"one to {MOST_TEXTS} texts can be embedded at once", param="input")
    service = context.as_service("gateway")
    found = None
    with suppress(UnavailableError):
        found = await service.call(embeddings.MODELS, Nothing())
    own = None if found is None else found.find(model)
    if own is not None:
        _require_length(own.dimensions, dimensions, model)
        wanted = embeddings.EmbedTexts(texts=tuple(texts), model=model, metered=True)
        return await service.call(embeddings.EMBED, wanted)
    if not await is_served(context, model):
        if found is None:
            raise UnavailableError("there is no embedding model at the moment")
        names = ", ".join(each.name for each in found.items)
        raise UnknownModelError(f"there is no embedding model {model!r} (there is: {names})", model=model)
    return await embed_served(context, model, texts, dimensions=dimensions)


async def is_served(context: Context, model: str) -> bool:
    """Whether the inference service has a model of that name for this caller."""
    with suppress(UnavailableError):
        return any(served.name == model for served in (await context.call(inference.MODELS, Nothing())).items)
    return False


def _require_length(has: int, wanted: int | None, model: str) -> None:
    if wanted not in {None, has}:
        raise InvalidInputError(f"the vectors of {model} have {has} dimensions", param="dimensions")


def rows_of(made: embeddings.Embeddings) -> list[list[float]]:
    """The vectors as lists of numbers."""
    width = made.dimensions
    numbers: list[float] = [*memoryview(made.vectors).cast("f")]
    return [numbers[start : start + width] for start in range(0, len(numbers), width)]


def count_words(texts: Sequence[str]) -> int:
    """What stands for the tokens of embedded texts: the embedder keeps those to itself."""
    return sum(len(text.split()) for text in texts)
