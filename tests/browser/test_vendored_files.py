"""The third-party files of the page are the recorded ones, each with its licence beside it."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from fireside.web import CONTENT_SECURITY_POLICY, static_folder

FOLDERS = [static_folder() / "vendor", Path(__file__).parent / "vendor"]


def manifest(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "vendor.json").read_text())["packages"]


def recorded_hashes(folder: Path) -> dict[str, str]:
    return {path: digest for package in manifest(folder).values() for path, digest in package["files"].items()}


@pytest.mark.parametrize("folder", FOLDERS, ids=["page", "tests"])
def test_every_vendored_file_has_its_recorded_hash_and_no_other_file_is_there(folder: Path) -> None:
    found = {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "vendor.json"
    }

    assert found == recorded_hashes(folder)


@pytest.mark.parametrize("folder", FOLDERS, ids=["page", "tests"])
def test_every_vendored_package_is_pinned_and_brings_its_licence(folder: Path) -> None:
    for name, package in manifest(folder).items():
        places = {Path(path).parent for path in package["files"]}

        assert package["version"], name
        assert package["licence"], name
        assert any((folder / place / "LICENSE").is_file() for place in places), name


def test_the_page_states_the_policy_that_the_server_is_to_send() -> None:
    index = (static_folder() / "index.html").read_text()

    assert f'content="{CONTENT_SECURITY_POLICY}"' in index


def test_the_page_has_no_inline_script_or_style() -> None:
    for path in static_folder().rglob("*.html"):
        text = path.read_text()

        assert "<style" not in text
        assert "style=" not in text
        assert text.count("<script") == text.count("<script src=") + text.count('<script type="module" src=')
