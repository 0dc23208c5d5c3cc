"""What every secret box does. Inherit, and provide the fixtures `box` and `box_after_rotation` (one more key)."""

import pytest

from fireside.ports.secret_box import SecretBox, SecretUnreadableError


class SecretBoxConformance:
    """Behaviour of `SecretBox`."""

    @pytest.mark.parametrize("plaintext", [b"", b"x", "grüße".encode(), bytes(range(256)) * 400])
    def test_what_was_sealed_can_be_opened(self, box: SecretBox, plaintext: bytes) -> None:
        assert box.open(box.seal(plaintext, place="here"), place="here") == plaintext

    def test_sealed_bytes_hold_nothing_of_the_text_and_differ_each_time(self, box: SecretBox) -> None:
        first, second = box.seal(b"a known phrase", place="here"), box.seal(b"a known phrase", place="here")

        assert b"known" not in first
        assert first != second

    def test_a_value_cannot_be_opened_at_another_place(self, box: SecretBox) -> None:
        sealed = box.seal(b"mine", place="row:1")

        with pytest.raises(SecretUnreadableError):
            box.open(sealed, place="row:2")

    def test_a_change_of_any_byte_is_noticed(self, box: SecretBox) -> None:
        sealed = box.seal(b"short", place="here")

        for index in range(len(sealed)):
            changed = bytearray(sealed)
            changed[index] ^= 1
            with pytest.raises(SecretUnreadableError):
                box.open(bytes(changed), place="here")

    def test_a_cut_value_is_refused(self, box: SecretBox) -> None:
        sealed = box.seal(b"short", place="here")

        for length in range(len(sealed)):
            with pytest.raises(SecretUnreadableError):
                box.open(sealed[:length], place="here")

    def test_after_rotation_old_values_still_open(self, box: SecretBox, box_after_rotation: SecretBox) -> None:
        sealed = box.seal(b"old", place="here")

        assert box_after_rotation.open(sealed, place="here") == b"old"
        assert box_after_rotation.needs_reseal(sealed)
        assert not box.needs_reseal(sealed)

    def test_a_resealed_value_needs_the_present_key(self, box: SecretBox, box_after_rotation: SecretBox) -> None:
        resealed = box_after_rotation.reseal(box.seal(b"old", place="here"), place="here")

        assert box_after_rotation.open(resealed, place="here") == b"old"
        assert not box_after_rotation.needs_reseal(resealed)
        with pytest.raises(SecretUnreadableError):
            box.open(resealed, place="here")

    def test_a_changed_value_is_never_resealed(self, box: SecretBox, box_after_rotation: SecretBox) -> None:
        sealed = bytearray(box.seal(b"old", place="here"))
        sealed[-1] ^= 1

        with pytest.raises(SecretUnreadableError):
            box_after_rotation.reseal(bytes(sealed), place="here")
