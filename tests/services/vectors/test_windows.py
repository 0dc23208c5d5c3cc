"""What of a chunk's vectors is compared with a query."""

import numpy as np
import pytest

from fireside.core.errors import InvalidInputError
from fireside.services.vectors.windows import blend_windows, read_vectors


def test_rows_are_read_as_they_were_written() -> None:
    rows = np.arange(12, dtype="<f4").reshape(3, 4)

    np.testing.assert_array_equal(read_vectors(rows.tobytes(), dimensions=4), rows)
    assert read_vectors(rows[0].tobytes()).shape == (1, 4)
    assert read_vectors(b"").shape == (0, 0)
    assert read_vectors(b"", dimensions=4).shape == (0, 0)


@pytest.mark.parametrize(("data", "dimensions"), [(b"abc", None), (b"x" * 20, 4), (b"x" * 6, 1)])
def test_data_that_is_not_whole_rows_is_refused(data: bytes, dimensions: int | None) -> None:
    with pytest.raises(InvalidInputError):
        read_vectors(data, dimensions=dimensions)


def test_a_window_is_half_itself_and_half_its_passage() -> None:
    passage, first, second = np.eye(3, dtype=np.float32)

    blended = blend_windows(np.stack([passage, first, second]))

    np.testing.assert_allclose(blended, [[0.5, 0.5, 0.0], [0.5, 0.0, 0.5]])
    assert blended.dtype == np.float32


def test_a_passage_without_windows_stays_as_it_is() -> None:
    passage = np.ones((1, 3), dtype=np.float32)

    assert blend_windows(passage) is passage
    assert len(blend_windows(np.empty((0, 0), dtype=np.float32))) == 0
