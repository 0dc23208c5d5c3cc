"""SIGKILL at every point of indexing and deleting: the next start finishes the work, once in effect."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

Report = dict[str, Any]

POINTS = [
    *[("after commit", nth) for nth in range(1, 13)],
    *[("before commit", nth) for nth in (3, 5, 7, 9, 11)],
    ("job claimed", 1),
    ("job claimed", 2),
    ("passages stored", 1),
    ("passages stored", 2),
    ("passages embedded", 1),
    ("passages embedded", 2),
    ("passages embedded", 3),
    ("documents switched", 1),
    ("documents switched", 2),
    ("chunks out of the index", 1),
    ("document erased", 1),
    ("object doomed", 1),
    ("object doomed", 2),
    ("object erased", 1),
    ("job succeeded", 1),
]


@pytest.fixture(scope="module")
def program() -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", "tests.services.documents.kill_program"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as program:
        yield program
        assert program.stdin is not None
        program.stdin.close()


def live(program: "subprocess.Popen[str]", folder: Path, act: str, point: str = "", nth: int = 0) -> tuple[int, Report]:
    """One life: the signal that ended it, and its report if it came to that."""
    assert program.stdin is not None
    assert program.stdout is not None
    program.stdin.write(json.dumps({"folder": str(folder), "act": act, "point": point, "nth": nth}) + "\n")
    program.stdin.flush()
    report: Report = {}
    for line in program.stdout:
        said = json.loads(line) if line.startswith("{") else {}
        report = said.get("report", report)
        if "status" in said:
            assert os.WIFSIGNALED(said["status"]) or said["status"] == 0
            return os.WTERMSIG(said["status"]) if os.WIFSIGNALED(said["status"]) else 0, report
    raise AssertionError("the program ended")


def killed_and_started_anew(
    program: "subprocess.Popen[str]", filled: Path, tmp_path: Path, *, act: str, at: tuple[str, int]
) -> tuple[Report, Report]:
    """What an act that is killed the nth time it reaches a point had told, and the report of the next start."""
    folder = Path(shutil.copytree(filled, tmp_path / "copy"))
    died_of, told = live(program, folder, act, *at)
    assert died_of == signal.SIGKILL
    died_of, report = live(program, folder, "finish")
    assert died_of == 0
    return told, report


@pytest.fixture(scope="module")
def filled(program: "subprocess.Popen[str]", tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a service with three documents."""
    folder = tmp_path_factory.mktemp("filled")
    died_of, report = live(program, folder, "fill")
    assert died_of == 0
    assert [path for path, *_ in report["documents"]] == ["changed.md", "deleted.md", "kept.md"]
    return folder


def assert_whole(report: Report) -> None:
    """Everything that remains belongs together, and nothing else remains."""
    assert report["passages"] == report["in_index"]
    assert report["wanted_objects"] == report["known_objects"] == report["stored_objects"]
    assert report["texts"] == sum(1 for _, state, _ in report["documents"] if state == "indexed")
    assert set(report["jobs"]) == {"succeeded"}
    assert set(report["facts"].values()) <= {1, 2}


def assert_changed(report: Report) -> None:
    assert report["documents"] == [
        ["bad.txt", "failed", False],
        ["changed.md", "indexed", True],
        ["kept.md", "indexed", True],
        ["large.md", "indexed", True],
        ["small.md", "indexed", True],
    ]
    assert report["facts"] == {
        "documents.indexed changed.md": 2,
        "documents.indexed deleted.md": 1,
        "documents.indexed kept.md": 1,
        "documents.indexed large.md": 1,
        "documents.indexed small.md": 1,
        "documents.deleted deleted.md": 1,
    }


def test_without_a_kill_the_change_is_whole(program: "subprocess.Popen[str]", filled: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(filled, tmp_path / "copy"))

    died_of, report = live(program, folder, "change")

    assert died_of == 0
    assert_whole(report)
    assert_changed(report)
    assert {point for point, _ in POINTS} <= set(report["reached"])


@pytest.mark.requirement("P12")
@pytest.mark.parametrize(("point", "nth"), POINTS)
def test_what_a_kill_interrupts_is_finished_by_the_next_start(
    program: "subprocess.Popen[str]", filled: Path, tmp_path: Path, point: str, nth: int
) -> None:
    _, report = killed_and_started_anew(program, filled, tmp_path, act="change", at=(point, nth))

    assert_whole_after_kill(report)


MOVING = [
    *[("after commit", nth) for nth in range(1, 6)],
    ("before commit", 2),
    ("job claimed", 1),
    ("document embedded", 1),
    ("document embedded", 3),
    ("index switched", 1),
    ("old generation dropped", 1),
    ("job succeeded", 1),
]


def assert_moved(report: Report) -> None:
    assert_whole(report)
    assert report["generations"] == ["model-2"]
    assert report["percent"] == [100.0]
    assert len(report["in_index"]) == 3


def test_without_a_kill_the_index_is_moved(program: "subprocess.Popen[str]", filled: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(filled, tmp_path / "copy"))

    died_of, report = live(program, folder, "move")

    assert died_of == 0
    assert_moved(report)
    assert {point for point, _ in MOVING} <= set(report["reached"])


@pytest.mark.requirement("I12")
@pytest.mark.parametrize(("point", "nth"), MOVING)
def test_a_move_that_a_kill_interrupts_is_finished_by_the_next_start(
    program: "subprocess.Popen[str]", filled: Path, tmp_path: Path, point: str, nth: int
) -> None:
    told, report = killed_and_started_anew(program, filled, tmp_path, act="move", at=(point, nth))

    if told or report["generations"] != ["model-1"]:
        assert_moved(report)
    else:  # it died before the move was acknowledged: nothing was begun
        assert_whole(report)


def assert_whole_after_kill(report: Report) -> None:
    """What was acknowledged is done; a file that was received but not yet added may wait to be forgotten."""
    assert_whole(report)
    recorded = {path for path, *_ in report["documents"]}
    if "small.md" in recorded:
        assert_changed(report)
    else:
        assert recorded >= {"changed.md", "kept.md"}
        assert all(state == "indexed" for _, state, _ in report["documents"])
