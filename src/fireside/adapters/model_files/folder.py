"""Model files in a folder: `<root>/ab/<digest>.gguf`, drafts in `<root>/incoming`."""

import errno
import fcntl
import hashlib
import os
import re
import shutil
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from fireside.core.errors import InvalidInputError
from fireside.ports.model_files import ChecksumError, ModelFilesError

_DIGEST = re.compile(r"[0-9a-f]{64}")
_SUFFIX = ".gguf"
_HASH_STEP_BYTES = 4 * 1024**2


class FolderModelFiles:
    """A draft is held by a lock of its own (flock) beside it, also when it has been moved to where it is visible.

    So nodes that share the folder share downloads too.
    """

    def __init__(self, root: Path) -> None:
        """Describe the folder; it is made when the first draft is."""
        self._root = root

    @contextmanager
    def draft(self, key: str) -> Generator["FolderDraft | None"]:
        """The draft of that key; None while somebody else holds it."""
        with _translated():
            place = self._draft_place(key)
            place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = _locked(place.with_suffix(".lock"))
        if lock is None:
            yield None
            return
        try:
            with _translated():
                file = _opened(place)
            with file:
                yield FolderDraft(file, place, self.path)
        finally:
            place.with_suffix(".lock").unlink(missing_ok=True)
            lock.close()

    def draft_bytes(self, key: str) -> int:
        """How much of a draft is here."""
        try:
            return self._draft_place(key).stat().st_size
        except OSError:
            return 0

    def path(self, digest: str) -> Path:
        """Where the file of that digest is, or would be."""
        if not _DIGEST.fullmatch(digest):
            raise InvalidInputError(f"{digest!r} is not a SHA-256 digest in lower-case hexadecimal digits")
        return self._root / digest[:2] / (digest + _SUFFIX)

    def parts(self, digest: str) -> list[Path]:
        """The files of that digest, in order."""
        path = self.path(digest)
        return sorted(path.parent.glob(f"{digest}-*-of-*{_SUFFIX}")) or [path]

    def finish_parts(self, digest: str, count: int) -> None:
        """Have the usual place of the digest lead to the first part; engines find the others by their names."""
        place = self.path(digest)
        with _translated(), suppress(FileExistsError):
            place.symlink_to(_part(digest, 1, count))
            _sync_folder(place.parent)

    def delete(self, digest: str) -> bool:
        """Forget a file, and its parts."""
        with _translated():
            parts = [part for part in self.parts(digest) if part != self.path(digest)]
            try:
                self.path(digest).unlink()
            except FileNotFoundError:
                return False
            for part in parts:
                part.unlink(missing_ok=True)
        return True

    def free_bytes(self) -> int:
        """Room on the disk of the folder, or of the nearest one above it that is there."""
        folder = self._root.absolute()
        while not folder.exists():
            folder = folder.parent
        with _translated():
            return shutil.disk_usage(folder).free

    def drop_stale(self, *, older_than_s: float) -> int:
        """Throw drafts away that nobody has written to for so long."""
        dropped, before = 0, time.time() - older_than_s
        for place in (self._root / "incoming").glob("*.part"):
            with suppress(OSError):
                if place.stat().st_mtime < before:
                    with self.draft(place.stem) as draft:
                        if draft is not None:
                            draft.discard()
                            dropped += 1
        return dropped

    def _draft_place(self, key: str) -> Path:
        if not _DIGEST.fullmatch(key):
            raise InvalidInputError(f"{key!r} is no key of a draft")
        return self._root / "incoming" / f"{key}.part"


class FolderDraft:
    """One file on its way in; its digest is counted along, from the start again after the process was killed."""

    def __init__(self, file: BinaryIO, place: Path, path_of: Callable[[str], Path]) -> None:
        self._file = file
        self._place = place
        self._path_of = path_of
        self._note = place.with_suffix(".validator")
        self._hash = hashlib.sha256()
        self._hashed = 0

    @property
    def size_bytes(self) -> int:
        """How much of it is here."""
        return os.fstat(self._file.fileno()).st_size

    @property
    def validator(self) -> str:
        """What `begin` was told last."""
        try:
            return self._note.read_text("utf-8") if self.size_bytes else ""
        except OSError:
            return ""

    def begin(self, start: int, validator: str) -> None:
        """Go on at this place, dropping what lies behind it."""
        with _translated():
            if start < self.size_bytes:
                self._file.truncate(start)
            if start < self._hashed:
                self._hash, self._hashed = hashlib.sha256(), 0
            self._file.seek(start)
            self._note.write_text(validator, "utf-8")

    def write(self, content: bytes) -> None:
        """Append."""
        with _translated():
            place = self._file.tell()
            self._file.write(content)
            self._file.flush()
        if place == self._hashed:
            self._hash.update(content)
            self._hashed += len(content)

    def open(self) -> BinaryIO:
        """Read what is here, from the beginning."""
        with _translated():
            return self._place.open("rb")

    def digest(self) -> str:
        """SHA-256 of what is here; what this process did not write itself is read once."""
        with _translated(), self.open() as file:
            file.seek(self._hashed)
            while content := file.read(_HASH_STEP_BYTES):
                self._hash.update(content)
                self._hashed += len(content)
        return self._hash.hexdigest()

    def keep(self, *, sha256: str | None) -> str:
        """Make it visible under its digest."""
        digest = self.digest()
        if sha256 is not None and digest != sha256:
            self.discard()
            raise ChecksumError(f"the file's SHA-256 is {digest}, not {sha256}; it was thrown away", expected=sha256)
        self._move(self._path_of(digest))
        return digest

    def keep_as_part(self, whole: str, number: int, count: int) -> None:
        """Put it beside the place of the whole, under the name that llama.cpp looks for."""
        self._move(self._path_of(whole).with_name(_part(whole, number, count)))

    def _move(self, place: Path) -> None:
        with _translated():
            os.fsync(self._file.fileno())
            place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._place.replace(place)
            self._note.unlink(missing_ok=True)
            for folder in (place.parent, place.parent.parent):
                _sync_folder(folder)

    def discard(self) -> None:
        """Throw it away."""
        with _translated():
            self._note.unlink(missing_ok=True)
            self._place.unlink(missing_ok=True)


def _part(digest: str, number: int, count: int) -> str:
    return f"{digest}-{number:05}-of-{count:05}{_SUFFIX}"


def _opened(place: Path) -> BinaryIO:
    return os.fdopen(os.open(place, os.O_RDWR | os.O_CREAT, 0o600), "r+b")


def _locked(place: Path) -> BinaryIO | None:
    """The file, locked; None when somebody else has it. Whoever had it may just have removed it: then once more."""
    while True:
        file = _opened(place)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return None
        with suppress(FileNotFoundError):
            if place.stat().st_ino == os.fstat(file.fileno()).st_ino:
                return file
        file.close()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _translated() -> Generator[None]:
    try:
        yield
    except OSError as error:
        full = error.errno in {errno.ENOSPC, errno.EDQUOT}
        reason = "the disk is full" if full else str(error)
        raise ModelFilesError(f"the folder of model files cannot be used: {reason}") from error
