"""A secret box whose keys live as long as the tests."""

from datetime import UTC, datetime

from fireside.adapters.secret_box.aes_gcm import AesGcmSecretBox
from fireside.adapters.secret_box.key_ring import KeyRing

BOX = AesGcmSecretBox(KeyRing(()).with_new_key(now=datetime(2026, 1, 1, tzinfo=UTC)))
