import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fireside.adapters.secret_box.key_ring import load_key_ring, parse_key_ring, rotate_key_ring
from fireside.adapters.secret_box.owner_only_file import OwnerOnlyFile
from fireside.core.clock import SystemClock
from fireside.ports.secret_box import KeyRingError

CLOCK = SystemClock()


@pytest.fixture
def file(tmp_path: Path) -> OwnerOnlyFile:
    return OwnerOnlyFile(tmp_path / "data" / "keys.json")


def test_a_file_that_is_not_there_reads_as_none(file: OwnerOnlyFile) -> None:
    assert file.read() is None


def test_written_text_comes_back_and_only_the_owner_can_read_it(file: OwnerOnlyFile) -> None:
    file.write("one")
    file.write("two")

    assert file.read() == "two"
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert [path.name for path in file.path.parent.iterdir()] == ["keys.json"]


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o602])
def test_a_file_that_others_can_open_is_refused_with_the_command_that_helps(file: OwnerOnlyFile, mode: int) -> None:
    file.write("secret")
    file.path.chmod(mode)

    with pytest.raises(KeyRingError, match=r"chmod 600 .*keys\.json"):
        file.read()


def test_of_many_that_create_the_file_exactly_one_succeeds(file: OwnerOnlyFile) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda number: (file.create(str(number)), number), range(20)))

    winners = [str(number) for won, number in made if won]
    assert [file.read()] == winners
    assert [path.name for path in file.path.parent.iterdir()] == ["keys.json"]


def test_what_cannot_be_written_or_read_is_a_key_ring_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    blocked = OwnerOnlyFile(tmp_path / "file" / "keys.json")

    for attempt in (lambda: blocked.write("x"), lambda: blocked.create("x"), blocked.read):
        with pytest.raises(KeyRingError, match="cannot be"):
            attempt()


def test_text_that_is_not_utf8_is_a_key_ring_error(file: OwnerOnlyFile) -> None:
    file.write("x")
    file.path.write_bytes(b"\xff\xfe\xff")

    with pytest.raises(KeyRingError, match="cannot be read"):
        file.read()


def test_the_first_start_makes_a_ring_with_one_key_and_later_starts_find_it(file: OwnerOnlyFile) -> None:
    first = load_key_ring(file, clock=CLOCK, source="keys.json")
    second = load_key_ring(file, clock=CLOCK, source="keys.json")

    assert len(first.keys) == 1
    assert second == first
    assert repr(first.present.key) not in repr(first)


def test_rotation_adds_a_key_and_keeps_the_old_ones(file: OwnerOnlyFile) -> None:
    before = load_key_ring(file, clock=CLOCK, source="keys.json")
    after = rotate_key_ring(file, clock=CLOCK, source="keys.json")

    assert after.keys[:1] == before.keys
    assert after.present.id == 2
    assert load_key_ring(file, clock=CLOCK, source="keys.json") == after


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"keys": []}',
        '{"keys": [{"id": 1}]}',
        '{"keys": [{"id": 1, "key": "AAAA", "created_at": "2026-01-01T00:00:00+00:00"}]}',
        '{"keys": [{"id": 0, "key": "' + "A" * 43 + '=", "created_at": "2026-01-01T00:00:00+00:00"}]}',
        '{"keys": [{"id": 1, "key": "' + "A" * 43 + '=", "created_at": "soon"}]}',
        '{"keys": [{"id": 1, "key": "' + "!" * 44 + '", "created_at": "2026-01-01T00:00:00+00:00"}]}',
    ],
)
def test_a_broken_ring_is_refused_and_names_its_file(text: str) -> None:
    with pytest.raises(KeyRingError, match=r"^keys\.json: "):
        parse_key_ring(text, source="keys.json")


def test_keys_out_of_order_are_refused() -> None:
    entry = '{"id": 1, "key": "' + "A" * 43 + '=", "created_at": "2026-01-01T00:00:00+00:00"}'

    with pytest.raises(KeyRingError, match="growing ids"):
        parse_key_ring(f'{{"keys": [{entry}, {entry}]}}', source="keys.json")
