"""Texts as sparse vectors for BM25. The engine multiplies the inverse document frequency in when it searches."""

from collections import Counter
from hashlib import blake2b

import numpy as np

from fireside.core.words import stems_of
from fireside.ports.vector_index import SparseVector

_K1, _B = 1.2, 0.75
_AVERAGE_TERMS = 90
"""Terms of a typical chunk of about 1,000 characters, stop words left out."""


def index_keywords(text: str) -> SparseVector:
    """The terms of a chunk, each weighed by how often it occurs in how long a text.

    tf (k1 + 1) / (tf + k1 (1 - b + b n / average)) as in BM25 (Robertson and Zaragoza, 2009), with a fixed average
    length: chunks are cut to one size, and a moving average would make every weight ever written wrong.
    """
    stems = stems_of(text)
    spread = _K1 * (1 - _B + _B * len(stems) / _AVERAGE_TERMS)
    return _sparse({stem: count * (_K1 + 1) / (count + spread) for stem, count in Counter(stems).items()})


def query_keywords(text: str) -> SparseVector:
    """The terms of a query, each weighed by how often it occurs in it."""
    return _sparse({stem: float(count) for stem, count in Counter(stems_of(text)).items()})


def _sparse(weights: dict[str, float]) -> SparseVector:
    """The weights under 32-bit hashes of their terms; of the rare two terms with one hash the heavier is kept."""
    hashed: dict[int, float] = {}
    for stem, weight in weights.items():
        digest = blake2b(stem.encode("utf-8", "surrogatepass"), digest_size=4).digest()
        term = int.from_bytes(digest, "little")
        hashed[term] = max(weight, hashed.get(term, 0.0))
    return SparseVector(
        terms=np.fromiter(hashed.keys(), dtype=np.uint32, count=len(hashed)),
        weights=np.fromiter(hashed.values(), dtype=np.float32, count=len(hashed)),
    )
