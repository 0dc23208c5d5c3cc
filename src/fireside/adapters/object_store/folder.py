"""Objects as files in a folder, `file://`: the name of each file is the digest of its content, its bytes are sealed."""

import asyncio
import hashlib
import os
import re
import tempfile
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import BinaryIO, ParamSpec, TypeVar

from fireside.adapters.object_store.sealed_pieces import SealedWriter, read_pieces
from fireside.ports.object_store import (
    InvalidDigestError,
    ObjectNotFoundError,
    ObjectStoreError,
    ObjectTooLargeError,
    StoredObject,
)
from fireside.ports.secret_box import SecretBox

_DIGEST = re.compile(r"[0-9a-f]{64}")
_INCOMING = "incoming"
_STALE_S = 24 * 3600.0
"""Drafts this old are left over from a process that died."""

Params = ParamSpec("Params")
Result = TypeVar("Result")


class FolderObjectStore:
    """Keeps objects at `<root>/ab/cd/abcd...`, written aside first and moved into place when safe on disk."""

    def __init__(self, root: Path, *, box: SecretBox) -> None:
        """Describe a store; the folder is made when the first object comes.

        Args:
            root: The folder.
            box: Seals what is stored.
        """
        self._root = root
        self._box = box

    async def put(self, content: AsyncIterable[bytes], *, max_bytes: int | None = None) -> StoredObject:
        """Store the bytes; when this returns, they survive a power cut."""
        draft = await _in_thread(_Draft, self._root, self._box)
        try:
            async for piece in content:
                if max_bytes is not None and draft.size_bytes + len(piece) > max_bytes:
                    raise ObjectTooLargeError(f"the object is longer than {max_bytes} bytes", limit_bytes=max_bytes)
                await _in_thread(draft.write, piece)
            stored = StoredObject(draft.digest, draft.size_bytes)
            await _in_thread(draft.move_to, self._place(stored.digest))
        finally:
            await _in_thread(draft.discard)
        return stored

    async def open(self, digest: str) -> AsyncIterator[bytes]:
        """The bytes in order, in pieces of up to one megabyte."""
        file = await _in_thread(_open_to_read, self._place(digest))
        try:
            pieces = read_pieces(file, self._box)
            while (piece := await _in_thread(next, pieces, None)) is not None:
                yield piece
        finally:
            await _in_thread(file.close)

    async def exists(self, digest: str) -> bool:
        """Whether the object is stored."""
        return await _in_thread(self._place(digest).is_file)

    async def delete(self, digest: str) -> bool:
        """Forget the object; says whether it was there."""
        return await _in_thread(_unlink, self._place(digest))

    async def digests(self) -> AsyncIterator[str]:
        """The digests of all objects."""
        for digest in await _in_thread(list, _names(self._root)):
            yield digest

    async def aclose(self) -> None:
        """Nothing is held open between calls."""

    def _place(self, digest: str) -> Path:
        if not _DIGEST.fullmatch(digest):
            raise InvalidDigestError(f"{digest!r} is not a SHA-256 digest in lower-case hexadecimal digits")
        return self._root / digest[:2] / digest[2:4] / digest


async def _in_thread(function: Callable[Params, Result], *args: Params.args, **kwargs: Params.kwargs) -> Result:
    """Run blocking work aside, with the system's errors in the port's words."""
    try:
        return await asyncio.to_thread(partial(function, *args, **kwargs))
    except OSError as error:
        raise ObjectStoreError(f"the object folder cannot be used: {error}") from error


class _Draft:
    """An object on its way in. Its file has a name of its own until the content is complete."""

    def __init__(self, root: Path, box: SecretBox) -> None:
        folder = root / _INCOMING
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _remove_stale(folder)
        descriptor, name = tempfile.mkstemp(dir=folder)
        self._file = os.fdopen(descriptor, "wb")
        self._path = Path(name)
        self._writer = SealedWriter(self._file, box)
        self._hash = hashlib.sha256()
        self.size_bytes = 0

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()

    def write(self, content: bytes) -> None:
        self._writer.write(content)
        self._hash.update(content)
        self.size_bytes += len(content)

    def move_to(self, place: Path) -> None:
        """Make the content durable, then visible, then make its visibility durable."""
        if not place.is_file():
            self._writer.close()
            self._file.flush()
            os.fsync(self._file.fileno())
            place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._path.replace(place)
        for folder in (place.parent, place.parent.parent, place.parent.parent.parent):
            _sync_folder(folder)

    def discard(self) -> None:
        """Close and remove what is left of the draft."""
        self._file.close()
        self._path.unlink(missing_ok=True)


def _open_to_read(place: Path) -> BinaryIO:
    try:
        return place.open("rb")
    except FileNotFoundError as error:
        raise ObjectNotFoundError(f"no object {place.name} is stored", digest=place.name) from error


def _unlink(place: Path) -> bool:
    """Remove the file. Its folder stays: removing it could pull it away from under an object on its way in."""
    try:
        place.unlink()
    except FileNotFoundError:
        return False
    return True


def _names(root: Path) -> Iterator[str]:
    return (path.name for path in root.glob("??/??/*") if _DIGEST.fullmatch(path.name))


def _remove_stale(folder: Path) -> None:
    for path in folder.iterdir():
        with suppress(FileNotFoundError):  # another process may have been faster
            if time.time() - path.stat().st_mtime > _STALE_S:
                path.unlink()


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # Windows cannot open folders; it orders these writes itself
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
