"""Bytes that are kept as they came - uploads, artifacts, model files - under the digest of their content.

Above lie the services that accept files; below lies a folder or an S3-compatible store. Being addressed by content,
an object never changes, equal bytes are stored once, and storing twice does nothing. At rest, content is sealed.
"""

from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from fireside.core.errors import InternalError, InvalidInputError, NotFoundError, TooLargeError, UnavailableError


class ObjectNotFoundError(NotFoundError):
    """No object is stored under this digest."""

    code = "object_not_found"


class InvalidDigestError(InvalidInputError):
    """A digest is 64 lower-case hexadecimal digits."""

    code = "invalid_digest"


class ObjectTooLargeError(TooLargeError):
    """The object is larger than the caller allowed."""

    code = "object_too_large"


class ObjectDamagedError(InternalError):
    """An object is not as it was stored; restore it from a back-up."""

    code = "object_damaged"


class ObjectStoreError(UnavailableError):
    """The store could not read or write."""

    code = "object_store_unavailable"


@dataclass(frozen=True, slots=True)
class StoredObject:
    """Where an object lies and how long it is.

    Attributes:
        digest: SHA-256 of the content, 64 lower-case hexadecimal digits.
        size_bytes: Length of the content.
    """

    digest: str
    size_bytes: int


class ObjectStore(Protocol):
    """Stores and returns immutable bytes by digest."""

    async def put(self, content: AsyncIterable[bytes], *, max_bytes: int | None = None) -> StoredObject:
        """Store the bytes; when this returns, they survive a power cut.

        A reader sees the whole object or none. Nothing stays behind of a stream that ends in an error.

        Args:
            content: The bytes in order, in pieces of any length.
            max_bytes: Stop reading beyond this many.

        Raises:
            ObjectTooLargeError: The content is longer than `max_bytes`.
            ObjectStoreError: The store cannot take it; nothing was stored.
        """
        ...

    def open(self, digest: str) -> AsyncIterator[bytes]:
        """The bytes in order, in pieces.

        Raises:
            ObjectNotFoundError: There is no such object; raised at the first piece.
            InvalidDigestError: This is not a digest.
            ObjectDamagedError: It was changed or cut.
            ObjectStoreError: The store cannot read.
        """
        ...

    async def exists(self, digest: str) -> bool:
        """Whether the object is stored.

        Raises:
            InvalidDigestError: This is not a digest.
        """
        ...

    async def delete(self, digest: str) -> bool:
        """Forget the object.

        Returns:
            Whether it was there.

        Raises:
            InvalidDigestError: This is not a digest.
            ObjectStoreError: The store cannot delete.
        """
        ...

    def digests(self) -> AsyncIterator[str]:
        """The digests of all objects, in no order, for back-ups and checks.

        Raises:
            ObjectStoreError: The store cannot be listed.
        """
        ...

    async def aclose(self) -> None:
        """Release what is held open. Safe to call twice."""
        ...
