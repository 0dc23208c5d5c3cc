"""Model files on this machine, under the SHA-256 of their content, as plain files that an engine can map into memory.

Unlike objects (`ports.object_store`) they are not sealed: engines read them by themselves. A file comes in as a draft,
which survives the process, and is visible under its digest only when it is complete, checked and safe on disk.
"""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO, Protocol

from fireside.core.errors import ConflictError, UnavailableError


class ModelFilesError(UnavailableError):
    """The folder of model files cannot be read or written."""

    code = "model_files_unavailable"


class ChecksumError(ConflictError):
    """What arrived is not what was announced: its digest differs. It was thrown away."""

    code = "checksum_mismatch"


class Draft(Protocol):
    """A file on its way in. Blocking: call from a thread."""

    @property
    def size_bytes(self) -> int:
        """How much of it is here."""
        ...

    @property
    def validator(self) -> str:
        """What `begin` was told last; empty when nothing is here."""
        ...

    def begin(self, start: int, validator: str) -> None:
        """Go on at this place, dropping what lies behind it; `validator` is kept beside the bytes."""
        ...

    def write(self, content: bytes) -> None:
        """Append.

        Raises:
            ModelFilesError: The disk is full, or cannot be written.
        """
        ...

    def open(self) -> BinaryIO:
        """Read what is here, from the beginning."""
        ...

    def digest(self) -> str:
        """SHA-256 of what is here."""
        ...

    def keep(self, *, sha256: str | None) -> str:
        """Make it visible under its digest, when that is the expected one (any when None); returns the digest.

        Raises:
            ChecksumError: It is another; the draft is gone.
        """
        ...

    def keep_as_part(self, whole: str, number: int, count: int) -> None:
        """Have it be a part, counted from 1, of the model in several files whose digest is `whole`."""
        ...

    def discard(self) -> None:
        """Throw it away."""
        ...


class ModelFiles(Protocol):
    """The files of one folder, which several nodes may share."""

    def draft(self, key: str) -> AbstractContextManager[Draft | None]:
        """The draft of that key, held by nobody else meanwhile; None while somebody else holds it. Blocking."""
        ...

    def draft_bytes(self, key: str) -> int:
        """How much of a draft is here, whoever holds it; 0 when there is none."""
        ...

    def path(self, digest: str) -> Path:
        """Where the file of that digest is, or would be."""
        ...

    def parts(self, digest: str) -> list[Path]:
        """The files of that digest, in order: one, or all of a model in several."""
        ...

    def finish_parts(self, digest: str, count: int) -> None:
        """Make a model in several files visible, when `keep_as_part` was called for each."""
        ...

    def delete(self, digest: str) -> bool:
        """Forget a file; says whether it was there. Who has it open keeps what they have open."""
        ...

    def free_bytes(self) -> int:
        """Room on the disk."""
        ...

    def drop_stale(self, *, older_than_s: float) -> int:
        """Throw drafts away that nobody has written to for so long; returns how many."""
        ...
