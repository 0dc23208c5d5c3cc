"""What is offered to clients of every dialect: the pipeline, the models that answer, the one that embeds."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from fireside.contracts import embeddings, inference
from fireside.contracts.base import Nothing
from fireside.core.errors import InvalidInputError, NotFoundError, UnavailableError
from fireside.runtime.context import Context
from fireside.services.gateway.openai_dialect import PIPELINE_MODEL

MOST_TEXTS = 8192


@dataclass(frozen=True, slots=True)
class Offered:
    """What there is at the moment: a part that is not available is left out, as the pipeline answers without."""

    models: tuple[inference.ModelProfile, ...] = ()
    embedder: str | None = None

    @property
    def names(self) -> list[str]:
        """Every name, the pipeline's first."""
        embedder = [] if self.embedder is None else [self.embedder]
        return [PIPELINE_MODEL, *(model.name for model in self.models), *embedder]

    def find_profile(self, name: str) -> inference.ModelProfile | None:
        """The facts about a model that answers."""
        return next((model for model in self.models if model.name == name), None)

    def require(self, name: str) -> None:
        """Pass when there is something of that name.

        Raises:
            NotFoundError: There is not.
        """
        if name not in self.names:
            raise NotFoundError(f"there is no model {name!r} (there is: {', '.join(self.names)})", model=name)


async def offered(context: Context) -> Offered:
    """What this caller may use."""
    models: tuple[inference.ModelProfile, ...] = ()
    embedder: str | None = None
    with suppress(UnavailableError):
        models = (await context.call(inference.MODELS, Nothing())).items
    with suppress(UnavailableError):
        embedder = (await context.as_service("gateway").call(embeddings.MODEL, Nothing())).name
    return Offered(models, embedder)


async def embed(
    context: Context, model: str, texts: Sequence[str], *, dimensions: int | None = None
) -> embeddings.Embeddings:
    """Turn texts into vectors.

    Args:
        context: Of whoever asks.
        model: The name of the embedding model.
        texts: One to 8192.
        dimensions: The length that is expected of the vectors; this model's cannot be cut.

    Raises:
        NotFoundError: There is no embedding model of that name.
        InvalidInputError: Too many texts, none, or another length.
        UnavailableError: The model is not there.
    """
    service = context.as_service("gateway")
    embedder = await service.call(embeddings.MODEL, Nothing())
    if model != embedder.name:
        raise NotFoundError(f"there is no embedding model {model!r} (there is: {embedder.name})", model=model)
    if dimensions not in {None, embedder.dimensions}:
        raise InvalidInputError(f"the vectors of {model} have {embedder.dimensions} dimensions", param="dimensions")
    if not 0 < len(texts) <= MOST_TEXTS:
        raise InvalidInputError(f"one to {MOST_TEXTS} texts can be embedded at once", param="input")
    return await service.call(embeddings.EMBED, embeddings.EmbedTexts(texts=tuple(texts)))


def rows_of(made: embeddings.Embeddings) -> list[list[float]]:
    """The vectors as lists of numbers."""
    width = made.dimensions
    numbers: list[float] = [*memoryview(made.vectors).cast("f")]
    return [numbers[start : start + width] for start in range(0, len(numbers), width)]


def count_words(texts: Sequence[str]) -> int:
    """What stands for the tokens of embedded texts: the embedder keeps those to itself."""
    return sum(len(text.split()) for text in texts)
