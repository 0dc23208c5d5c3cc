"""The reference of settings says what the code says."""

from pathlib import Path

from fireside.bootstrap.every_setting import every_settings_class
from fireside.bootstrap.reference import entries, env_example, settings_page

ROOT = Path(__file__).parents[2]
HINT = "run 'python -m fireside.bootstrap.reference'"


def test_the_example_of_an_environment_is_current() -> None:
    assert (ROOT / ".env.example").read_text() == env_example(every_settings_class()), HINT


def test_the_page_of_settings_is_current() -> None:
    assert (ROOT / "docs/reference/settings.md").read_text() == settings_page(every_settings_class()), HINT


def test_every_setting_is_described_and_belongs_to_one_class() -> None:
    found = [entry for kind in every_settings_class() for entry in entries(kind)]

    assert [name for name, _, description in found if not description] == []
    names = [name for name, _, _ in found]
    assert [name for name in names if names.count(name) > 1] == []
