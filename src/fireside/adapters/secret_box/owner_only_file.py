"""A file on this machine that only its owner can read, checked at every reading (POSIX modes)."""

import os
import secrets
from pathlib import Path

from fireside.ports.secret_box import KeyRingError

_OWNER_ONLY = 0o600
_OTHERS = 0o077


class OwnerOnlyFile:
    """Implements `SecretFile`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> str | None:
        """Its text; None when there is no such file.

        Raises:
            KeyRingError: Others can read it, or it cannot be read.
        """
        try:
            with self.path.open(encoding="utf-8") as file:
                mode = os.fstat(file.fileno()).st_mode
                if os.name == "posix" and mode & _OTHERS:
                    raise KeyRingError(f"{self.path} can be read by others: chmod 600 {self.path}")
                return file.read()
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise KeyRingError(f"{self.path} cannot be read: {error}") from error

    def write(self, text: str) -> None:
        """Replace its text, all at once, readable by the owner alone.

        Raises:
            KeyRingError: It cannot be written.
        """
        try:
            os.replace(self._written_aside(text), self.path)
        except OSError as error:
            raise KeyRingError(f"{self.path} cannot be written: {error}") from error

    def create(self, text: str) -> bool:
        """Write it only when there is none yet, so that of several processes exactly one succeeds.

        Returns:
            Whether this call made it.

        Raises:
            KeyRingError: It cannot be written.
        """
        try:
            aside = self._written_aside(text)
            try:
                os.link(aside, self.path)  # unlike a rename, fails when the file is there already
            except FileExistsError:
                return False
            finally:
                aside.unlink()
        except OSError as error:
            raise KeyRingError(f"{self.path} cannot be written: {error}") from error
        return True

    def _written_aside(self, text: str) -> Path:
        """A complete, synced file next to the real one."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        aside = self.path.with_name(f".{self.path.name}.{secrets.token_hex(8)}")
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        return aside
