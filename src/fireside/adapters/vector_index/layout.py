"""How a point lies in any Qdrant: the names of its vectors and fields, and what is checked before it is written.

`chunk` is the mean of a chunk's windows and is what every search by meaning scans; `windows`, which answers better but
is several times larger, is compared only for the chunks that scan found. `words` is multiplied with the inverse
document frequency by the engine.
"""

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fireside.core.errors import InvalidInputError
from fireside.ports.vector_index import IndexPoint, VectorShapeError

CHUNK, WINDOWS, WORDS = "chunk", "windows", "words"
COLLECTION_FIELD, DOCUMENT_FIELD = "collection_id", "document_id"
WRITE_BATCH_POINTS = 200
"""Points written in one go: few enough that a search waits only some milliseconds for them."""

_GENERATION_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")


def check_generation_name(name: str) -> None:
    """Pass when the name is of the form the port promises.

    Raises:
        InvalidInputError: It is not.
    """
    if not _GENERATION_NAME.fullmatch(name):
        raise InvalidInputError(f"{name!r} is not a name of an index generation (lower-case letters, digits, - _ .)")


def check_points(points: Sequence[IndexPoint], *, dimensions: int) -> None:
    """Pass when every point can be written; an engine would take some of these and never find them again.

    Raises:
        VectorShapeError: A window is not of that many finite numbers.
    """
    for point in points:
        shape = point.windows.shape
        if point.windows.size and (len(shape) != 2 or shape[1] != dimensions):
            raise VectorShapeError(f"windows of shape {shape} do not fit an index of {dimensions} dimensions")
        if not np.isfinite(point.windows).all():
            raise VectorShapeError(f"the vectors of chunk {point.id} hold a number that is not finite")


def check_query(vector: NDArray[np.float32] | None, *, dimensions: int) -> None:
    """Pass when a query's vector can be compared.

    Raises:
        VectorShapeError: It is not of that many finite numbers.
    """
    if vector is not None and (vector.shape != (dimensions,) or not np.isfinite(vector).all()):
        raise VectorShapeError(f"a query of shape {vector.shape} does not fit an index of {dimensions} dimensions")


def batches(points: Sequence[IndexPoint]) -> list[Sequence[IndexPoint]]:
    """The points in portions of WRITE_BATCH_POINTS."""
    return [points[start : start + WRITE_BATCH_POINTS] for start in range(0, len(points), WRITE_BATCH_POINTS)]
