"""Ranking of texts in the shape that Jina, Cohere and llama-server share. No I/O.

Scores are the cosine similarity that the embedding model sees between the query and each text: from -1 to 1.
"""

from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from fireside.contracts.embeddings import Embeddings

Json = dict[str, Any]


class TextDocument(BaseModel):
    """A text inside an object."""

    model_config = ConfigDict(extra="ignore")

    text: str


class RerankRequest(BaseModel):
    """Texts to rank by how well they fit a query; `fireside`, or no model, means the embedding model."""

    model_config = ConfigDict(extra="ignore")

    model: str = "fireside"
    query: str = Field(min_length=1)
    documents: list[str | TextDocument] = Field(min_length=1)
    top_n: int | None = Field(default=None, ge=1)
    return_documents: bool = False

    @property
    def texts(self) -> list[str]:
        """The texts, in the order given."""
        return [document if isinstance(document, str) else document.text for document in self.documents]


def ranking_body(request: RerankRequest, made: Embeddings, *, tokens: int) -> Json:
    """The reply: every text, or the best `top_n`, best first.

    Args:
        request: What was asked.
        made: The vectors of the query and then of each text.
        tokens: For the usage.
    """
    vectors = np.frombuffer(made.vectors, "<f4").reshape(-1, made.dimensions)
    scores = vectors[1:] @ vectors[0]
    best = np.argsort(-scores, kind="stable")[: request.top_n]
    texts = request.texts
    results: list[Json] = [
        {"index": int(index), "relevance_score": float(scores[index])}
        | ({"document": {"text": texts[index]}} if request.return_documents else {})
        for index in best
    ]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"model": made.model, "object": "list", "usage": usage, "results": results}
