"""Documentation that can be wrong is wrong some day: commands, links and settings in it are tried."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
import typer.main
from typer.core import TyperGroup

from fireside.bootstrap.every_setting import every_settings_class
from fireside.bootstrap.reference import entries
from fireside.cli.app import build

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
NOT_SETTINGS = {"FIRESIDE_SERVER", "FIRESIDE_KEY", "FIRESIDE_NEW_PASSWORD", "FIRESIDE_TEST_REQUIRE"}

USAGE_ERROR = typer.BadParameter.__mro__[1]
"""Which typer does not export by itself."""

COMMAND_LINE = re.compile(r"^\s*(?:\w+=\S+ )*(fireside .*)$", re.MULTILINE)
COMMAND_IN_TEXT = re.compile(r"`(fireside [^`\n]+)`")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
SETTING = re.compile(r"\b(FIRESIDE_[A-Z0-9_]+[A-Z0-9])\b(?!_?<)")
CODE = re.compile(r"^```[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)


def commands() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        text = page.read_text()
        found = [line for block in CODE.findall(text) for line in COMMAND_LINE.findall(block)]
        for command in (*found, *COMMAND_IN_TEXT.findall(CODE.sub("", text))):
            yield str(page.relative_to(ROOT)), command


COMMANDS = sorted(set(commands()))


def parse(command: str) -> None:
    """Parse a command as the command line does, without running it."""
    words = shlex.split(command, comments=True)[1:]
    current = typer.main.get_command(build())
    context = None
    while True:
        context = current.make_context(current.name or "fireside", words, parent=context)
        if not isinstance(current, TyperGroup):
            return
        name, found, words = current.resolve_command(context, [*context._protected_args, *context.args])
        assert found is not None, name
        current = found


@pytest.mark.requirement("O11")
@pytest.mark.parametrize(("page", "command"), COMMANDS, ids=[f"{page}: {command}" for page, command in COMMANDS])
def test_a_command_in_the_documentation_parses(
    page: str, command: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FIRESIDE_NEW_PASSWORD", "asked for otherwise")
    monkeypatch.chdir(tmp_path)
    for name in ("handbook", "docs"):
        (tmp_path / name).mkdir()
    (tmp_path / "report.pdf").touch()

    parse(command)


def test_a_command_that_does_not_parse_would_be_noticed() -> None:
    with pytest.raises(USAGE_ERROR):
        parse("fireside ask --loudly 'Why?'")
    with pytest.raises(USAGE_ERROR):
        parse("fireside models paint")
    assert ("docs/tutorial/first-hour.md", "fireside ingest docs") in COMMANDS


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_that_are_there(page: Path) -> None:
    targets = [target for target in LINK.findall(page.read_text()) if "://" not in target]

    missing = [target for target in targets if not (page.parent / target.partition("#")[0]).exists()]
    assert missing == []


def test_every_setting_that_is_named_exists() -> None:
    known = {name for kind in every_settings_class() for name, _, _ in entries(kind)} | NOT_SETTINGS
    named = {(str(page.relative_to(ROOT)), name) for page in PAGES for name in SETTING.findall(page.read_text())}

    assert named
    assert sorted((page, name) for page, name in named if name not in known) == []
