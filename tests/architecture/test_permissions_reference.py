"""The reference of permissions says what the code says."""

from pathlib import Path

from fireside.bootstrap.reference_permissions import permissions_page

PAGE = Path(__file__).parents[2] / "docs/reference/permissions.md"


def test_the_page_of_permissions_is_current() -> None:
    assert PAGE.read_text() == permissions_page(), "run 'python -m fireside.bootstrap.reference'"
