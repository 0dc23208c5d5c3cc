"""Turning texts into vectors whose closeness is closeness of meaning.

Above lies the embeddings service, which caches; below lie the libraries and servers that run models. An adapter
gathers concurrent calls into batches, so callers need not; what a vector is used for is not its business.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from fireside.core.errors import UnavailableError, UpstreamError

Vectors = NDArray[np.float32]
"""(n, d) float32, one row a text."""


Pooling = Literal["mean", "cls", "server"]
"""What of a text's tokens its vector is: their mean, the first one, or what a server makes of them."""


@dataclass(frozen=True, slots=True)
class EmbedderFacts:
    """What a model is, known before it is loaded.

    Attributes:
        name: Of the model and its precision.
        version: Of the model. Vectors of two models, or of two versions of one, must never be compared.
        dimensions: Length of a vector, d.
        max_tokens: Tokens of a text that the model reads; what follows is ignored.
    """

    name: str
    dimensions: int
    max_tokens: int
    pooling: Pooling
    version: str = "1"

    @property
    def full_name(self) -> str:
        """What tells this model and version from every other: `name`, `name@2` for a version that is not the first."""
        return self.name if self.version == "1" else f"{self.name}@{self.version}"


class EmbedderUnavailableError(UnavailableError):
    """The embedding model cannot be loaded or reached."""

    code = "embedder_unavailable"


class EmbedderFailedError(UpstreamError):
    """The embedding model answered with something that cannot be used."""

    code = "embedder_failed"


class Embedder(Protocol):
    """One embedding model."""

    @property
    def facts(self) -> EmbedderFacts:
        """What the model is."""
        ...

    @property
    def ready(self) -> bool:
        """Whether the model is loaded, so that `embed` answers without waiting for it."""
        ...

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Embed texts.

        Safe to call from many tasks at once. The first call loads the model, unless `warm_up` did. A cancelled
        call does not disturb the others.

        Args:
            texts: n texts of any length and language; an empty text has a vector too.

        Returns:
            (n, d) float32, rows of unit length in the order of the texts; (0, d) for no texts.

        Raises:
            EmbedderUnavailableError: The model cannot be loaded or reached, or the embedder was closed.
            EmbedderFailedError: The model's answer is not usable.
        """
        ...

    async def warm_up(self) -> None:
        """Load the model.

        Raises:
            EmbedderUnavailableError: It cannot be loaded or reached.
        """
        ...

    async def aclose(self) -> None:
        """Let go of the model. Calls still waiting fail as unavailable. Safe to call twice."""
        ...
