"""What of a chunk's vectors is compared with a query."""

import numpy as np
from numpy.typing import NDArray

from fireside.core.errors import InvalidInputError


def read_vectors(data: bytes, *, dimensions: int | None = None) -> NDArray[np.float32]:
    """Rows of little-endian float32.

    Args:
        data: As contracts carry them.
        dimensions: Length of a row; one row with all of the data when None.

    Returns:
        (n, dimensions) float32; (0, 0) for no data.

    Raises:
        InvalidInputError: The data is not whole rows.
    """
    width = dimensions * 4 if dimensions else len(data)
    if not data:
        return np.empty((0, 0), dtype=np.float32)
    if len(data) % 4 or len(data) % width:
        raise InvalidInputError(f"{len(data)} bytes are not rows of {width} bytes of float32")
    return np.frombuffer(data, dtype="<f4").reshape(-1, width // 4).astype(np.float32, copy=False)


def blend_windows(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Each window half as itself and half as the passage it stands in.

    A window alone is precise but does not know what it is about; the passage knows, but says many things. Their mean
    finds better than either, and it is not scaled back to unit length, because the two agreeing is worth something
    (docs/decisions/passages-are-found-by-meaning-words-and-company.md).

    Args:
        rows: (1 + k, d) the passage, then its windows; (0, 0) for none.

    Returns:
        (k, d), or (1, d) for a passage without windows of its own, or (0, 0).
    """
    if len(rows) < 2:
        return rows
    return np.multiply(rows[:1] + rows[1:], 0.5, dtype=np.float32)
