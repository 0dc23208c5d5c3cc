"""The form of an object's file: its content cut into pieces, each sealed, so that large ones need little memory.

Every piece is bound to its file, to its place in it and to whether it is the last: pieces that are swapped, moved to
another file or missing at the end are noticed.
"""

import os
import struct
from collections.abc import Iterator
from typing import BinaryIO

from fireside.ports.object_store import ObjectDamagedError
from fireside.ports.secret_box import SecretBox, SecretUnreadableError

_SIGNATURE = b"FIRESIDE-OBJECT-1\n"
_SALT_BYTES = 16
_LENGTH = struct.Struct(">I")
_PIECE_BYTES = 1024**2


class SealedWriter:
    """Writes one object's content as it comes."""

    def __init__(self, file: BinaryIO, box: SecretBox) -> None:
        self._file = file
        self._box = box
        self._salt = os.urandom(_SALT_BYTES)
        self._held = bytearray()
        self._count = 0
        file.write(_SIGNATURE + self._salt)

    def write(self, content: bytes) -> None:
        """Add content. The last piece is held back, because only `close` knows that it is the last."""
        self._held += content
        while len(self._held) > _PIECE_BYTES:
            self._seal(bytes(self._held[:_PIECE_BYTES]), is_last=False)
            del self._held[:_PIECE_BYTES]

    def close(self) -> None:
        """Write what is held back. The file itself stays open."""
        self._seal(bytes(self._held), is_last=True)

    def _seal(self, piece: bytes, *, is_last: bool) -> None:
        sealed = self._box.seal(piece, place=_place(self._salt, self._count, is_last=is_last))
        self._file.write(_LENGTH.pack(len(sealed)) + sealed)
        self._count += 1


def read_pieces(file: BinaryIO, box: SecretBox) -> Iterator[bytes]:
    """The content of an object's file, in pieces.

    Raises:
        ObjectDamagedError: The file is not as it was written, or was sealed with keys that are gone.
    """
    head = file.read(len(_SIGNATURE) + _SALT_BYTES)
    if len(head) < len(_SIGNATURE) + _SALT_BYTES or not head.startswith(_SIGNATURE):
        raise ObjectDamagedError("the object's file does not begin as one")
    salt, count = head[len(_SIGNATURE) :], 0
    sealed = _next(file)
    while sealed is not None:
        following = _next(file)
        try:
            yield box.open(sealed, place=_place(salt, count, is_last=following is None))
        except SecretUnreadableError as error:
            raise ObjectDamagedError(f"piece {count} of the object cannot be opened: {error}") from error
        sealed, count = following, count + 1
    if count == 0:
        raise ObjectDamagedError("the object's file ends before its content")


def _next(file: BinaryIO) -> bytes | None:
    header = file.read(_LENGTH.size)
    if not header:
        return None
    length = _LENGTH.unpack(header)[0] if len(header) == _LENGTH.size else -1
    sealed = file.read(length) if 0 <= length <= 2 * _PIECE_BYTES else b""
    if len(sealed) != length:
        raise ObjectDamagedError("the object's file is cut")
    return sealed


def _place(salt: bytes, count: int, *, is_last: bool) -> str:
    return f"objects:{salt.hex()}:{count}:{'last' if is_last else 'more'}"
