"""AES-256-GCM envelopes: each value has a key of its own, which is sealed with the present key of the ring.

So no key ever encrypts many values, and rotation rewrites 64 bytes of a value instead of all of it. Layout, in bytes:

    1 version | 4 master key id | 12 nonce | 48 sealed value key | 12 nonce | n + 16 sealed value

The place is authenticated with both parts. Nonces are random: 2^32 values under one master key keep the risk of a
repeated nonce below 2^-32 (NIST SP 800-38D, 8.3); rotate before.
"""

import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from fireside.adapters.secret_box.key_ring import KeyRing, MasterKey
from fireside.ports.secret_box import SecretUnreadableError

_VERSION = b"\x01"
_NONCE_BYTES = 12
_VALUE_KEY_BYTES = 32
_TAG_BYTES = 16
_HEAD_BYTES = 5
_BODY_AT = _HEAD_BYTES + _NONCE_BYTES + _VALUE_KEY_BYTES + _TAG_BYTES


class AesGcmSecretBox:
    """Implements `SecretBox` with the keys of a ring."""

    def __init__(self, ring: KeyRing) -> None:
        self._present = ring.present
        self._ciphers = {key.id: AESGCM(key.key) for key in ring.keys}

    def seal(self, plaintext: bytes, *, place: str) -> bytes:
        """Encrypt and authenticate a value for a place."""
        value_key = secrets.token_bytes(_VALUE_KEY_BYTES)
        nonce = secrets.token_bytes(_NONCE_BYTES)
        body = nonce + AESGCM(value_key).encrypt(nonce, plaintext, place.encode())
        return self._wrap(value_key, place) + body

    def open(self, sealed: bytes, *, place: str) -> bytes:
        """The value that was sealed for this place.

        Raises:
            SecretUnreadableError: It was changed, belongs to another place, or its key is not in the ring.
        """
        value_key = self._unwrap(sealed, place)
        nonce, body = sealed[_BODY_AT : _BODY_AT + _NONCE_BYTES], sealed[_BODY_AT + _NONCE_BYTES :]
        try:
            return AESGCM(value_key).decrypt(nonce, body, place.encode())
        except (InvalidTag, ValueError) as error:
            raise SecretUnreadableError(place=place) from error

    def needs_reseal(self, sealed: bytes) -> bool:
        """Whether the value was sealed under an older key than the present one."""
        return sealed[:_HEAD_BYTES] != _head(self._present)

    def reseal(self, sealed: bytes, *, place: str) -> bytes:
        """The same value under the present key; only its own key is sealed anew.

        Raises:
            SecretUnreadableError: As for `open`.
        """
        self.open(sealed, place=place)
        return self._wrap(self._unwrap(sealed, place), place) + sealed[_BODY_AT:]

    def _wrap(self, value_key: bytes, place: str) -> bytes:
        head, nonce = _head(self._present), secrets.token_bytes(_NONCE_BYTES)
        return head + nonce + self._ciphers[self._present.id].encrypt(nonce, value_key, head + place.encode())

    def _unwrap(self, sealed: bytes, place: str) -> bytes:
        head, nonce = sealed[:_HEAD_BYTES], sealed[_HEAD_BYTES : _HEAD_BYTES + _NONCE_BYTES]
        key_id = int.from_bytes(head[1:], "big")
        cipher = self._ciphers.get(key_id)
        if head[:1] != _VERSION or cipher is None or len(sealed) < _BODY_AT + _NONCE_BYTES + _TAG_BYTES:
            raise SecretUnreadableError(place=place, key_id=key_id)
        try:
            return cipher.decrypt(nonce, sealed[_HEAD_BYTES + _NONCE_BYTES : _BODY_AT], head + place.encode())
        except InvalidTag as error:
            raise SecretUnreadableError(place=place, key_id=key_id) from error


def _head(key: MasterKey) -> bytes:
    return _VERSION + key.id.to_bytes(4, "big")
