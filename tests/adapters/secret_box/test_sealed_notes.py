"""Notes of a node that nobody reads without its keys."""

from datetime import UTC, datetime
from pathlib import Path

from fireside.adapters.model_engine.notes_file import NotesFile
from fireside.adapters.secret_box.aes_gcm import AesGcmSecretBox
from fireside.adapters.secret_box.key_ring import KeyRing
from fireside.adapters.secret_box.sealed_notes import SealedNotes

BOX = AesGcmSecretBox(KeyRing(()).with_new_key(now=datetime(2026, 1, 1, tzinfo=UTC)))
OTHER = AesGcmSecretBox(KeyRing(()).with_new_key(now=datetime(2026, 1, 1, tzinfo=UTC)))


def test_notes_are_read_as_they_were_written_and_lie_sealed(tmp_path: Path) -> None:
    path = tmp_path / "notes.json"

    SealedNotes(NotesFile(path), BOX, place="here").write({"asked": ["hotel"]})

    assert SealedNotes(NotesFile(path), BOX, place="here").read() == {"asked": ["hotel"]}
    assert b"hotel" not in path.read_bytes()


def test_notes_of_another_key_or_place_and_what_is_damaged_count_as_none(tmp_path: Path) -> None:
    path = tmp_path / "notes.json"
    assert SealedNotes(NotesFile(path), BOX, place="here").read() == {}
    SealedNotes(NotesFile(path), BOX, place="here").write({"asked": []})

    assert SealedNotes(NotesFile(path), OTHER, place="here").read() == {}
    assert SealedNotes(NotesFile(path), BOX, place="there").read() == {}
    for damaged in ('{"sealed": "?"}', '{"sealed": 7}', '{"asked": []}'):
        path.write_text(damaged)
        assert SealedNotes(NotesFile(path), BOX, place="here").read() == {}
