"""Sealing what must not be read from a stolen disk: keys, credentials, tokens, texts.

Above lie the services that store secrets; below lie ciphers and key rings. A sealed value is bound to the place it was
made for: opened anywhere else, it counts as tampered with.
"""

from typing import Protocol

from fireside.core.errors import InternalError, UnavailableError


class SecretUnreadableError(InternalError):
    """A sealed value cannot be opened: it was changed, moved, or sealed with a key that this key ring lacks."""

    code = "secret_unreadable"


class KeyRingError(UnavailableError):
    """The key ring cannot be used as it is."""

    code = "key_ring"
    retryable = False


class SecretBox(Protocol):
    """Seals and opens small values (keys, tokens, messages), in memory."""

    def seal(self, plaintext: bytes, *, place: str) -> bytes:
        """Encrypt and authenticate a value. Sealing twice gives different bytes.

        Args:
            plaintext: What to hide.
            place: Where the value will be stored, such as `auth.signing_keys:<id>`. Needed again to open it.
        """
        ...

    def open(self, sealed: bytes, *, place: str) -> bytes:
        """The value that was sealed for this place.

        Raises:
            SecretUnreadableError: It was changed, belongs to another place, or its key is not in the ring.
        """
        ...

    def needs_reseal(self, sealed: bytes) -> bool:
        """Whether the value was sealed under an older key than the present one."""
        ...

    def reseal(self, sealed: bytes, *, place: str) -> bytes:
        """The same value under the present key, for rotation. Both forms can be opened while the old key is kept.

        Raises:
            SecretUnreadableError: As for `open`.
        """
        ...


class SecretFile(Protocol):
    """A small file that nobody but its owner can read."""

    def read(self) -> str | None:
        """Its text; None when there is no such file.

        Raises:
            KeyRingError: Others can read it, or it cannot be read.
        """
        ...

    def write(self, text: str) -> None:
        """Replace its text, all at once, readable by the owner alone.

        Raises:
            KeyRingError: It cannot be written.
        """
        ...

    def create(self, text: str) -> bool:
        """Write it only when there is none yet, so that of several processes exactly one succeeds.

        Returns:
            Whether this call made it.

        Raises:
            KeyRingError: It cannot be written.
        """
        ...
