"""The keys that seal all others: several, each with an id; the newest seals, every one opens.

Stored as JSON: `{"keys": [{"id": 1, "key": "<base64, 32 bytes>", "created_at": "..."}]}`, newest last.
"""

import base64
import binascii
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from fireside.core.clock import Clock
from fireside.ports.secret_box import KeyRingError, SecretFile

_KEY_BYTES = 32
_MAX_ID = 2**32 - 1


@dataclass(frozen=True, slots=True)
class MasterKey:
    """One key of the ring: an id from 1 that only grows, and 32 random bytes."""

    id: int
    key: bytes
    created_at: datetime

    def __repr__(self) -> str:
        return f"MasterKey(id={self.id})"


@dataclass(frozen=True, slots=True)
class KeyRing:
    """All master keys, in order of age; the last one is the present one."""

    keys: tuple[MasterKey, ...]

    @property
    def present(self) -> MasterKey:
        """The key that seals."""
        return self.keys[-1]

    def with_new_key(self, *, now: datetime) -> "KeyRing":
        """The same ring with one more key, which becomes the present one."""
        next_id = self.present.id + 1 if self.keys else 1
        return KeyRing((*self.keys, MasterKey(next_id, secrets.token_bytes(_KEY_BYTES), now)))

    def to_json(self) -> str:
        """The form in which it is stored."""
        return json.dumps({"keys": [_to_dict(key) for key in self.keys]}, indent=1)


def parse_key_ring(text: str, *, source: str) -> KeyRing:
    """Read a stored ring.

    Args:
        text: As `KeyRing.to_json` made it.
        source: Where the text came from, for the message of an error.

    Raises:
        KeyRingError: It is not a ring, or holds no key.
    """
    try:
        entries = json.loads(text)["keys"]
        keys = tuple(_from_dict(entry) for entry in entries)
    except (ValueError, KeyError, TypeError, binascii.Error) as error:
        raise KeyRingError(f"{source}: not a key ring; restore it from a backup") from error
    ids = [key.id for key in keys]
    if not keys or ids != sorted(set(ids)):
        raise KeyRingError(f"{source}: a key ring holds at least one key, with growing ids")
    return KeyRing(keys)


def load_key_ring(file: SecretFile, *, clock: Clock, source: str) -> KeyRing:
    """Read the ring, making it with its first key when there is none. Safe when several processes start at once.

    Raises:
        KeyRingError: The file cannot be used.
    """
    text = file.read()
    if text is None:
        file.create(KeyRing(()).with_new_key(now=clock.now()).to_json())
        text = file.read() or ""
    return parse_key_ring(text, source=source)


def rotate_key_ring(file: SecretFile, *, clock: Clock, source: str) -> KeyRing:
    """Add a key that seals from now on. Restart the nodes, reseal what is stored; then old keys may be removed.

    Raises:
        KeyRingError: The file cannot be used.
    """
    ring = load_key_ring(file, clock=clock, source=source).with_new_key(now=clock.now())
    file.write(ring.to_json())
    return ring


def _to_dict(key: MasterKey) -> dict[str, object]:
    return {
        "id": key.id,
        "key": base64.b64encode(key.key).decode("ascii"),
        "created_at": key.created_at.isoformat(),
    }


def _from_dict(entry: Mapping[str, str]) -> MasterKey:
    key = base64.b64decode(entry["key"], validate=True)
    key_id = int(entry["id"])
    if len(key) != _KEY_BYTES or not 0 < key_id <= _MAX_ID:
        raise ValueError("a key has 32 bytes and an id from 1")
    return MasterKey(key_id, key, datetime.fromisoformat(entry["created_at"]))
