"""Passwords: hashed with Argon2id, off the event loop, a few at a time.

Parameters are the ones OWASP recommends first for little memory (19 MiB, two passes, one lane). A hash made with other
parameters still verifies and is replaced at the next sign-in.
"""

import asyncio
import base64
import secrets

from pwdlib import PasswordHash
from pwdlib.exceptions import UnknownHashError
from pwdlib.hashers.argon2 import Argon2Hasher

_MEMORY_KIB = 19 * 1024
_PASSES = 2
_LANES = 1


class PasswordHasher:
    """Makes and checks password hashes."""

    def __init__(self, *, at_once: int, memory_kib: int = _MEMORY_KIB) -> None:
        """Prepare.

        Args:
            at_once: Hashes made at the same time; further ones wait their turn.
            memory_kib: Memory each takes. Tests take less.
        """
        self._hash = PasswordHash((Argon2Hasher(time_cost=_PASSES, memory_cost=memory_kib, parallelism=_LANES),))
        self._turns = asyncio.Semaphore(at_once)
        self._nobody = f"$argon2id$v=19$m={memory_kib},t={_PASSES},p={_LANES}${_random(16)}${_random(32)}"

    async def hash(self, password: str) -> str:
        """The hash to store of a password, with a salt of its own."""
        async with self._turns:
            return await asyncio.to_thread(self._hash.hash, password)

    async def verify(self, password: str, stored: str | None) -> tuple[bool, str | None]:
        """Compare a password with a stored hash. Takes as long when there is none (no account, no password).

        Returns:
            Whether it is the password, and a hash to store instead when the stored one is outdated.
        """
        async with self._turns:
            try:
                return await asyncio.to_thread(self._hash.verify_and_update, password, stored or self._nobody)
            except UnknownHashError:
                return False, None


def _random(count: int) -> str:
    """Random bytes as they stand in a hash's text form; no password fits them."""
    return base64.b64encode(secrets.token_bytes(count)).rstrip(b"=").decode("ascii")
