"""Statements stand in repositories: services ask them, and know no SQL."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SERVICES = ROOT / "src" / "fireside" / "services"
STATEMENTS = {"select", "insert", "update", "delete", "text", "exists", "union", "union_all"}
HOMES = {"repository", "repository.py", "tables.py", "migrations"}


def statements(path: Path) -> set[str]:
    """What a module imports to build statements."""
    imports = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)]
    return {
        name.name
        for node in imports
        if (node.module or "").startswith("sqlalchemy")
        for name in node.names
        if name.name in STATEMENTS
    }


@pytest.mark.requirement("D3")
def test_only_repositories_build_statements() -> None:
    elsewhere = {
        str(path.relative_to(ROOT)): sorted(found)
        for path in sorted(SERVICES.rglob("*.py"))
        if HOMES.isdisjoint(path.relative_to(SERVICES).parts) and (found := statements(path))
    }

    assert elsewhere == {}
