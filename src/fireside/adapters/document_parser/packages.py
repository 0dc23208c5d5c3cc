"""Office files are zip archives of XML: opening them without letting them unpack to the size of the disk."""

import io
import zipfile
import zlib

from fireside.ports.document_parser import (
    CorruptDocumentError,
    DocumentTooLargeError,
    EncryptedDocumentError,
    ParseLimits,
    UnsupportedDocumentError,
)

_OLE_SIGNATURE = bytes.fromhex("d0cf11e0a1b11ae1")
_ENCRYPTED_STREAM = "EncryptedPackage".encode("utf-16-le")
_ENCRYPTED_FLAG = 0x1
_PROTECTED = "the file is protected by a password; save it without one and add it again"
_MAX_ENTRIES = 20_000
_MAX_RATIO = 200
"""Office XML packs 5 to 30 times, at most about 100; bombs pack 1,000 times."""
_RATIO_MATTERS_BYTES = 32 * 1024**2
_PIECE_BYTES = 1024**2


def is_ole(content: bytes) -> bool:
    """Whether this is the container of Office files before 2007, in which encrypted newer ones are wrapped too."""
    return content.startswith(_OLE_SIGNATURE)


def refuse_protected(content: bytes) -> None:
    """Refuse an Office file that is wrapped in encryption.

    Raises:
        EncryptedDocumentError: It is protected by a password.
    """
    if is_ole(content) and _ENCRYPTED_STREAM in content:
        raise EncryptedDocumentError(_PROTECTED)


def open_package(content: bytes, *, limits: ParseLimits) -> zipfile.ZipFile:
    """Open the archive of an Office file after checking that unpacking it is safe.

    The sizes that the archive declares are checked first, then the entries are unpacked and counted, because
    declared sizes may lie. Nothing is written to disk, and names of entries are never used as paths.

    Raises:
        CorruptDocumentError: It is not a whole zip archive.
        DocumentTooLargeError: It unpacks to more than allowed, or packs suspiciously well.
        EncryptedDocumentError: It is protected by a password.
        UnsupportedDocumentError: It is an Office file of the old format.
    """
    refuse_protected(content)
    if is_ole(content):
        raise UnsupportedDocumentError("the file is in the format of Office 97-2003; save it as docx, pptx or xlsx")
    try:
        package = zipfile.ZipFile(io.BytesIO(content))
    except (zipfile.BadZipFile, ValueError, OSError) as error:
        raise CorruptDocumentError("the file is damaged: it is not a whole zip archive, as Office files are") from error
    entries = package.infolist()
    if any(entry.flag_bits & _ENCRYPTED_FLAG for entry in entries):
        raise EncryptedDocumentError(_PROTECTED)
    if len(entries) > _MAX_ENTRIES:
        raise DocumentTooLargeError(f"the file holds {len(entries)} parts; at most {_MAX_ENTRIES} are read")
    _check_expansion(sum(entry.file_size for entry in entries), packed_bytes=len(content), limits=limits)
    _check_expansion(_unpacked_bytes(package, limits=limits), packed_bytes=len(content), limits=limits)
    return package


def _check_expansion(unpacked_bytes: int, *, packed_bytes: int, limits: ParseLimits) -> None:
    too_dense = unpacked_bytes > _RATIO_MATTERS_BYTES and unpacked_bytes > _MAX_RATIO * packed_bytes
    if unpacked_bytes > limits.expanded_bytes or too_dense:
        times = unpacked_bytes // max(packed_bytes, 1)
        raise DocumentTooLargeError(
            f"the file unpacks to {unpacked_bytes} bytes or more, {times} times its size",
            unpacked_bytes=unpacked_bytes,
            limit_bytes=limits.expanded_bytes,
        )


def _unpacked_bytes(package: zipfile.ZipFile, *, limits: ParseLimits) -> int:
    """Bytes that really come out, counting no further than just beyond the limit."""
    total = 0
    try:
        for entry in package.infolist():
            with package.open(entry) as part:
                while piece := part.read(_PIECE_BYTES):
                    total += len(piece)
                    if total > limits.expanded_bytes:
                        return total
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError, ValueError) as error:
        raise CorruptDocumentError(f"the file is damaged: {error}") from error
    return total
