"""The fixed sentences of answers in the asker's language, from `phrases.toml`; English where a language is missing."""

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Literal

PhraseName = Literal[
    "not_found",
    "not_searched",
    "nearest",
    "according_to",
    "greeting",
    "small_talk",
    "about_assistant",
    "no_model",
]


def phrase(name: PhraseName, language: str) -> str:
    """The sentence in the language (ISO 639-1), or in English."""
    translations = _phrases()[name]
    return translations.get(language, translations["en"])


@cache
def _phrases() -> Mapping[str, Mapping[str, str]]:
    return tomllib.loads(files("fireside.services.respond").joinpath("phrases.toml").read_text("utf-8"))
