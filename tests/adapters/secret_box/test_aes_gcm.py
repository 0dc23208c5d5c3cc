from datetime import UTC, datetime

import pytest

from fireside.adapters.secret_box.aes_gcm import AesGcmSecretBox
from fireside.adapters.secret_box.key_ring import KeyRing
from fireside.testing.conformance.secret_box import SecretBoxConformance

RING = KeyRing(()).with_new_key(now=datetime(2026, 1, 1, tzinfo=UTC))


class TestAesGcmSecretBox(SecretBoxConformance):
    @pytest.fixture
    def box(self) -> AesGcmSecretBox:
        return AesGcmSecretBox(RING)

    @pytest.fixture
    def box_after_rotation(self) -> AesGcmSecretBox:
        return AesGcmSecretBox(RING.with_new_key(now=datetime(2026, 2, 1, tzinfo=UTC)))


def test_a_value_can_be_opened_only_with_its_own_key_ring() -> None:
    sealed = AesGcmSecretBox(RING).seal(b"mine", place="here")
    stranger = AesGcmSecretBox(KeyRing(()).with_new_key(now=datetime(2026, 1, 1, tzinfo=UTC)))

    with pytest.raises(Exception, match="cannot be opened"):
        stranger.open(sealed, place="here")


def test_resealing_leaves_the_encrypted_body_as_it_is() -> None:
    sealed = AesGcmSecretBox(RING).seal(b"x" * 1_000, place="here")
    rotated = AesGcmSecretBox(RING.with_new_key(now=datetime(2026, 2, 1, tzinfo=UTC)))

    resealed = rotated.reseal(sealed, place="here")

    assert resealed[-1_028:] == sealed[-1_028:]
    assert len(resealed) == len(sealed) == 1_000 + 93
