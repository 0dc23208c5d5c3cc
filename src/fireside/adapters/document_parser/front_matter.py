"""The block of settings at the head of a Markdown page, as site generators write it: YAML or TOML."""

import re
import tomllib
from typing import Any, cast

import yaml

_YAML = re.compile(r"\A---[ \t]*\n(.*?)^(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)
_TOML = re.compile(r"\A\+\+\+[ \t]*\n(.*?)^\+\+\+[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)
_TITLE_LINE = re.compile(r"""^title\s*[:=]\s*["']?(.+?)["']?\s*$""", re.MULTILINE)
_ALL_SETTINGS = re.compile(r"(?:\s*|[ \t]*#.*|[ \t-].*|[\w.\"' -]+[:=].*)")
_MAX_CHARS = 100_000


def split_front_matter(text: str) -> tuple[str, str]:
    """Part a page into its title and its body.

    A rule (`---`) at the head of a page that has no settings under it is left in the body.

    Returns:
        The title that the settings name, empty when there is none, and the text after them.
    """
    for pattern, load in ((_YAML, _load_yaml), (_TOML, _load_toml)):
        match = pattern.match(text[:_MAX_CHARS])
        if match and all(_ALL_SETTINGS.fullmatch(line) for line in match[1].splitlines()):
            return _title_of(load(match[1]), match[1]), text[match.end() :]
    return "", text


def _load_yaml(source: str) -> Any:
    try:
        return yaml.safe_load(source)
    except (yaml.YAMLError, ValueError, RecursionError):
        return None


def _load_toml(source: str) -> Any:
    try:
        return tomllib.loads(source)
    except (tomllib.TOMLDecodeError, RecursionError):
        return None


def _title_of(settings: Any, source: str) -> str:
    if isinstance(settings, dict):
        title = cast("dict[Any, Any]", settings).get("title")
        return "" if title is None or isinstance(title, (dict, list)) else str(title)
    line = _TITLE_LINE.search(source)
    return line[1] if line else ""
