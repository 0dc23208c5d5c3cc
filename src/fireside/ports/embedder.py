"""Turning texts into vectors whose closeness is closeness of meaning.

Above lies the embeddings service, which caches; below lie the libraries and servers that run models. An adapter
gathers concurrent calls into batches, so callers need not; what a vector is used for is not its business.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fireside.core.errors import UnavailableError, UpstreamError

Vectors = NDArray[np.float32]
"""(n, d) float32, one row a text."""


class EmbedderUnavailableError(UnavailableError):
    """The embedding model cannot be loaded or reached."""

    code = "embedder_unavailable"


class EmbedderFailedError(UpstreamError):
    """The embedding model answered with something that cannot be used."""

    code = "embedder_failed"


class Embedder(Protocol):
    """One embedding model."""

    @property
    def name(self) -> str:
        """Names the model and its precision; vectors of different names must never be compared."""
        ...

    @property
    def dimensions(self) -> int:
        """Length of a vector, d."""
        ...

    @property
    def max_tokens(self) -> int:
        """Tokens of a text that the model reads; what follows is ignored."""
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
