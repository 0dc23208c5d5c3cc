"""What a model that runs here is for, and what is asked of it. No I/O."""

from typing import Final

from fireside.contracts.inference import ModelKind
from fireside.core.errors import InvalidInputError
from fireside.services.inference.model import ServedModel

_MADE_FOR: Final[dict[str, ModelKind]] = {"/v1/embeddings": "embedding", "/v1/rerank": "rerank"}
_TOLD: Final[dict[ModelKind, str]] = {
    "chat": "answers, at /v1/chat/completions",
    "embedding": "turns texts into vectors, at /v1/embeddings",
    "rerank": "ranks texts, at /v1/rerank",
}


def require_kind(model: ServedModel, path: str) -> None:
    """Pass when a model can do what is asked at a path. What servers elsewhere can do they say themselves.

    Raises:
        InvalidInputError: It was made for something else.
    """
    if model.engine is not None and _MADE_FOR.get(path, "chat") != model.kind:
        raise InvalidInputError(f"{model.name} {_TOLD[model.kind]}", param="model", model=model.name)
