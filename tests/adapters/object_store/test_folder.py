"""Objects in a folder."""

import os
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fireside.adapters.object_store.folder import FolderObjectStore
from fireside.adapters.secret_box.aes_gcm import AesGcmSecretBox
from fireside.adapters.secret_box.key_ring import KeyRing
from fireside.ports.object_store import ObjectDamagedError, ObjectStoreError
from fireside.ports.secret_box import SecretBox
from fireside.testing.conformance.object_store import ObjectStoreConformance, all_digests, content_of, stream

PHRASE = b"a phrase that must not be readable on the disk"


@pytest.fixture
def box() -> SecretBox:
    return AesGcmSecretBox(KeyRing(()).with_new_key(now=datetime(2026, 1, 1, tzinfo=UTC)))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "objects"


@pytest.fixture
def store(root: Path, box: SecretBox) -> FolderObjectStore:
    return FolderObjectStore(root, box=box)


class TestFolderObjectStore(ObjectStoreConformance):
    """The conformance suite, on the real file system."""


def files_in(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


async def test_nothing_of_the_content_can_be_read_on_the_disk(store: FolderObjectStore, root: Path) -> None:
    await store.put(stream(PHRASE * 40_000))

    assert all(PHRASE not in path.read_bytes() for path in files_in(root))


async def test_a_store_opened_later_finds_what_was_stored(store: FolderObjectStore, root: Path, box: SecretBox) -> None:
    stored = await store.put(stream(PHRASE))

    assert await content_of(FolderObjectStore(root, box=box), stored.digest) == PHRASE


async def test_nothing_lies_about_after_storing_failing_and_deleting(store: FolderObjectStore, root: Path) -> None:
    stored = await store.put(stream(PHRASE))
    await store.put(stream(PHRASE))
    await store.delete(stored.digest)

    assert files_in(root) == []


@pytest.mark.parametrize("place", [0, 20, 40, 60, -1])
async def test_a_changed_byte_is_noticed(store: FolderObjectStore, root: Path, place: int) -> None:
    stored = await store.put(stream(PHRASE))
    (path,) = files_in(root)
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)

    with pytest.raises(ObjectDamagedError):
        await content_of(store, stored.digest)


@pytest.mark.parametrize("kept", [0, 10, 34, 36, 60, 1024**2 + 200, -1])
async def test_a_cut_file_is_noticed_wherever_it_is_cut(store: FolderObjectStore, root: Path, kept: int) -> None:
    stored = await store.put(stream(os.urandom(2 * 1024**2)))
    (path,) = files_in(root)
    path.write_bytes(path.read_bytes()[:kept])

    with pytest.raises(ObjectDamagedError):
        await content_of(store, stored.digest)


async def test_a_file_cut_between_two_pieces_is_noticed(store: FolderObjectStore, root: Path) -> None:
    stored = await store.put(stream(os.urandom(1024**2 + 1)))
    (path,) = files_in(root)
    content = path.read_bytes()
    first_piece_bytes = int.from_bytes(content[34:38], "big")
    path.write_bytes(content[: 38 + first_piece_bytes])

    with pytest.raises(ObjectDamagedError):
        await content_of(store, stored.digest)


async def test_a_folder_that_cannot_be_used_is_reported(tmp_path: Path, box: SecretBox) -> None:
    (tmp_path / "objects").write_text("a file, not a folder")
    store = FolderObjectStore(tmp_path / "objects", box=box)

    with pytest.raises(ObjectStoreError):
        await store.put(stream(PHRASE))


async def test_drafts_of_a_process_that_died_are_removed_after_a_day(store: FolderObjectStore, root: Path) -> None:
    (root / "incoming").mkdir(parents=True)
    fresh, stale = root / "incoming" / "fresh", root / "incoming" / "stale"
    fresh.touch()
    stale.touch()
    day_before_yesterday = time.time() - 48 * 3600
    os.utime(stale, (day_before_yesterday, day_before_yesterday))

    await store.put(stream(PHRASE))

    assert fresh.exists()
    assert not stale.exists()
    assert len(await all_digests(store)) == 1


async def test_content_is_on_the_disk_before_it_is_acknowledged(
    store: FolderObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    sync, replace = os.fsync, Path.replace

    def noted_sync(descriptor: int) -> None:
        steps.append("sync folder" if os.path.isdir(f"/proc/self/fd/{descriptor}") else "sync file")
        sync(descriptor)

    def noted_replace(path: Path, target: Path) -> Path:
        steps.append("make visible")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", noted_sync)
    monkeypatch.setattr(Path, "replace", noted_replace)

    await store.put(stream(PHRASE))

    assert steps == ["sync file", "make visible", "sync folder", "sync folder", "sync folder"]
