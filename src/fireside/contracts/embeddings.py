"""What the embeddings service offers: texts turned into vectors by the embedding model, cached."""

from typing import Literal

from pydantic import Field

from fireside.contracts.base import INTERNAL, Action, Contract, Nothing


class EmbedTexts(Contract):
    """Texts to embed, up to a few thousand at once; a search embeds one, indexing hundreds."""

    texts: tuple[str, ...] = Field(min_length=1, max_length=8192)


class Embeddings(Contract):
    """Vectors of texts, in their order.

    `vectors` is (n, dimensions) little-endian float32, rows of unit length one after the other:
    `numpy.frombuffer(vectors, "<f4").reshape(-1, dimensions)`. Vectors of different models must not be compared.
    """

    model: str
    dimensions: int
    vectors: bytes


class EmbeddingModel(Contract):
    """The model in use. `index_name` is its name in the form that names a generation of the search index."""

    name: str
    index_name: str
    dimensions: int
    max_tokens: int
    state: Literal["loading", "ready"]


EMBED: Action[EmbedTexts, Embeddings] = Action(
    "embeddings.embed", EmbedTexts, Embeddings, access=INTERNAL, idempotent=True, timeout_s=300.0
)
MODEL: Action[Nothing, EmbeddingModel] = Action(
    "embeddings.model", Nothing, EmbeddingModel, access=INTERNAL, idempotent=True
)
