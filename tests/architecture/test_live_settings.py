"""What is live must be read on use: a constructor that reads it would keep the value of the start."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from fireside.bootstrap.every_setting import every_settings_class
from fireside.runtime.live.book import live_fields

SERVICES = Path(__file__).parents[2] / "src" / "fireside" / "services"
LIVE = {name for kind in every_settings_class() for name in live_fields(kind)}


def read_in_constructors(path: Path) -> Iterator[str]:
    """Where a constructor reads a live field of settings; in a lambda it is read later."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef) and node.name == "__init__":
            yield from (f"{path.relative_to(SERVICES)}:{found.lineno} {found.attr}" for found in _reads(node))


def _reads(node: ast.AST) -> Iterator[ast.Attribute]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Attribute) and child.attr in LIVE and "settings" in ast.unparse(child.value):
            yield child
        if not isinstance(child, ast.Lambda):
            yield from _reads(child)


@pytest.mark.requirement("P5")
def test_no_constructor_of_a_service_reads_a_live_setting() -> None:
    assert [found for path in sorted(SERVICES.rglob("*.py")) for found in read_in_constructors(path)] == []


def test_such_a_constructor_would_be_found() -> None:
    code = "class A:\n    def __init__(self, tools):\n        self._rate = tools.settings.user_rate\n"

    assert [found.attr for found in _reads(ast.parse(code))] == ["user_rate"]
    assert not list(_reads(ast.parse(code.replace("tools.settings", "lambda: tools.settings"))))
