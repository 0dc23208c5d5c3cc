"""The page of requirements: its tests are found by their markers, its words are written by people.

`python -m tests.architecture.requirements` writes the tests into `docs/requirements.md` anew.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "requirements.md"
ROW = re.compile(r"^\| (?P<id>[A-Z]\d+) \| (?P<what>.*?) \| (?P<tests>.*?) \| (?P<missing>.*?) \|$")


def marked_tests() -> dict[str, set[str]]:
    """The tests that carry each id: `tests/x/test_y.py::test_z`."""
    found: dict[str, set[str]] = {}
    for path in sorted((ROOT / "tests").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                for requirement_id in _ids(node.decorator_list):
                    found.setdefault(requirement_id, set()).add(f"{path.relative_to(ROOT)}::{node.name}")
    return found


def _ids(decorators: list[ast.expr]) -> Iterator[str]:
    for decorator in decorators:
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.requirement":
            yield from (str(ast.literal_eval(argument)) for argument in decorator.args)


def rows(page: str) -> dict[str, re.Match[str]]:
    """The rows of the page by their id."""
    return {match["id"]: match for line in page.splitlines() if (match := ROW.match(line))}


def written_anew(page: str) -> str:
    """The page with the tests that carry each row's id."""
    tests = marked_tests()
    return "\n".join(_line(line, tests) for line in page.splitlines()) + "\n"


def _line(line: str, tests: dict[str, set[str]]) -> str:
    match = ROW.match(line)
    if match is None:
        return line
    cells = (match["id"], match["what"], _cell(tests.get(match["id"], set())), match["missing"])
    return f"| {' | '.join(cells)} |"


def _cell(tests: set[str]) -> str:
    files: dict[str, int] = {}
    for test in sorted(tests):
        name = test.partition("::")[0]
        files[name] = files.get(name, 0) + 1
    return ", ".join(f"[{name.removeprefix('tests/')}](../{name})" for name in files) or "none"


if __name__ == "__main__":
    PAGE.write_text(written_anew(PAGE.read_text()))
