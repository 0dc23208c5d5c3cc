"""What the embeddings service offers: texts turned into vectors by one of its models, cached."""

from typing import Literal

from pydantic import Field

from fireside.contracts.base import INTERNAL, Action, Contract, Nothing


class EmbedTexts(Contract):
    """Texts to embed, up to a few thousand at once; a search embeds one, indexing hundreds.

    `model` is a name of `MODELS`; empty for the default model. `metered`: somebody asks for the vectors themselves, so
    that they count as usage.
    """

    texts: tuple[str, ...] = Field(min_length=1, max_length=8192)
    model: str = ""
    metered: bool = False


class Embeddings(Contract):
    """Vectors of texts, in their order.

    `vectors` is (n, dimensions) little-endian float32, rows of unit length one after the other:
    `numpy.frombuffer(vectors, "<f4").reshape(-1, dimensions)`. Vectors of different models must not be compared.
    """

    model: str
    dimensions: int
    vectors: bytes


class EmbeddingModel(Contract):
    """A model.

    `name` tells it from every other model and version; `index_name` is the same in the form that names a generation of
    the search index. A model that is `idle` is loaded by the first text that it gets.
    """

    name: str
    version: str = "1"
    index_name: str
    dimensions: int
    max_tokens: int
    pooling: str = "mean"
    state: Literal["idle", "loading", "ready"]


class EmbeddingModels(Contract):
    """Every model there is, the default first."""

    items: tuple[EmbeddingModel, ...] = Field(min_length=1)

    @property
    def default(self) -> EmbeddingModel:
        """The one that embeds when none is named."""
        return self.items[0]

    def find(self, name: str) -> EmbeddingModel | None:
        """The model of this name."""
        return next((model for model in self.items if model.name == name), None)

    def of_generation(self, generation: str | None) -> EmbeddingModel | None:
        """The model whose vectors a generation of the index holds."""
        return next((model for model in self.items if model.index_name == generation), None)


EMBED: Action[EmbedTexts, Embeddings] = Action(
    "embeddings.embed", EmbedTexts, Embeddings, access=INTERNAL, idempotent=True, timeout_s=300.0
)
MODELS: Action[Nothing, EmbeddingModels] = Action(
    "embeddings.models", Nothing, EmbeddingModels, access=INTERNAL, idempotent=True
)
