"""Nothing is left unfinished, and nothing speaks of anything but the project."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = {".py", ".md", ".toml", ".js", ".css", ".html", ".txt", ".yml", ""}
UNFINISHED = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X)\b|raise NotImplemented" + r"Error")
MACHINE_PATH = re.compile(r"(?<![\w.])/(root|work|home/(?!fireside)\w+)/")


def tracked() -> list[Path]:
    names = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    paths = [ROOT / name for name in names.stdout.splitlines()]
    return [path for path in paths if path.suffix in TEXT and "vendor" not in path.parts and path.is_file()]


def lines_with(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}"
        for path in tracked()
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        if pattern.search(line)
    ]


def test_nothing_is_marked_as_unfinished() -> None:
    assert lines_with(UNFINISHED) == []


def test_no_path_of_anybodys_machine_is_written_down() -> None:
    assert lines_with(MACHINE_PATH) == []
