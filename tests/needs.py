"""Says what a test needs of the machine: skipped with a reason on a user's machine, a failure where all is required."""

import importlib.util
import os
import shutil
from pathlib import Path

import pytest


def need(present: bool, what: str) -> None:
    """Go on when present; otherwise skip, or fail when FIRESIDE_TEST_REQUIRE=all."""
    if present:
        return
    if os.environ.get("FIRESIDE_TEST_REQUIRE") == "all":
        pytest.fail(f"required here but missing: {what}")
    pytest.skip(f"not on this machine: {what}")


def need_program(name: str) -> str:
    """The path of a program."""
    path = shutil.which(name)
    need(path is not None, f"the program {name}")
    return str(path)


def need_package_file(package: str, file_name: str) -> Path:
    """The path of a file inside an installed package that is never imported."""
    spec = importlib.util.find_spec(package)
    places = list(spec.submodule_search_locations or []) if spec else []
    path = Path(places[0], file_name) if places else Path(file_name)
    need(path.is_file(), f"the package {package} with {file_name}")
    return path
