"""The budgets that keep the code readable: modules of 300 lines, functions of 40."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "fireside"
MODULE_LINES = 300
FUNCTION_LINES = 40
WEB_SUFFIXES = {".js", ".css", ".html"}


def modules() -> Iterator[Path]:
    for path in sorted(SOURCE.rglob("*")):
        own = "vendor" not in path.parts and "__pycache__" not in path.parts
        if own and path.suffix in {".py", *WEB_SUFFIXES}:
            yield path


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of the function without its docstring, which may be as long as it needs."""
    first, last = function.lineno, function.end_lineno or function.lineno
    docstring = function.body[0]
    if isinstance(docstring, ast.Expr) and isinstance(docstring.value, ast.Constant):
        return last - first + 1 - ((docstring.end_lineno or 0) - docstring.lineno + 1)
    return last - first + 1


def test_no_module_is_longer_than_300_lines() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in modules()}

    assert {name: lines for name, lines in lengths.items() if lines > MODULE_LINES} == {}


def test_no_function_is_longer_than_40_lines() -> None:
    long = {
        f"{path.relative_to(ROOT)}:{function.name}": body_lines(function)
        for path in modules()
        if path.suffix == ".py" and "testing/conformance" not in str(path)
        for function in functions(path)
        if body_lines(function) > FUNCTION_LINES
    }

    assert long == {}
