"""What can be wrong with a request to embed."""

from fireside.core.errors import NotFoundError


class UnknownEmbeddingModelError(NotFoundError):
    """There is no embedding model of that name."""

    code = "unknown_embedding_model"
