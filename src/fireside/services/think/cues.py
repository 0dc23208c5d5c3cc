"""The cue words of `cues.toml`, compiled: what tells greetings, tasks, follow-ups and questions apart."""

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Literal

CueKind = Literal[
    "connectives",
    "anaphora",
    "greeting",
    "small_talk",
    "about_assistant",
    "task",
    "organisation",
    "question_words",
]


@cache
def cue_pattern(kind: CueKind, language: str) -> re.Pattern[str]:
    """A pattern that matches any cue of the kind in the language, as whole words; English where it is not known."""
    by_language = _cues()[kind]
    alternatives = sorted(by_language.get(language, by_language["en"]), key=len, reverse=True)
    return re.compile(rf"(?<!\w)(?:{'|'.join(alternatives)})(?!\w)", re.IGNORECASE)


@cache
def _cues() -> Mapping[str, Mapping[str, list[str]]]:
    return tomllib.loads(files("fireside.services.think").joinpath("cues.toml").read_text("utf-8"))


def cue_languages(kind: CueKind) -> list[str]:
    """The languages that have cues of the kind."""
    return list(_cues()[kind])
