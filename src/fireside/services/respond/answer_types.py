"""What kind of thing a question asks for (a number, a duration, a person ...) and which kinds a sentence holds.

Light patterns over question words and shapes of values, kept in `answer_types.toml`; they only raise or lower the rank
of a sentence and never decide alone. Languages: English, German, French, Spanish, Italian, Dutch, Portuguese.
"""

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Literal, get_args

AnswerType = Literal[
    "duration", "time", "date", "money", "percent", "number", "person", "place", "email", "phone", "link"
]

_CASED: frozenset[AnswerType] = frozenset({"person", "place"})


def asked_types(question: str) -> frozenset[AnswerType]:
    """The kinds of value the question seems to ask for; empty when its words do not tell."""
    return _matching("asks", question)


def held_types(text: str) -> frozenset[AnswerType]:
    """The kinds of value that occur in the text."""
    return _matching("holds", text)


def _matching(table: Literal["asks", "holds"], text: str) -> frozenset[AnswerType]:
    return frozenset(name for name, pattern in _patterns(table).items() if pattern.search(text))


@cache
def _patterns(table: Literal["asks", "holds"]) -> Mapping[AnswerType, re.Pattern[str]]:
    data = tomllib.loads(files("fireside.services.respond").joinpath("answer_types.toml").read_text("utf-8"))
    words = {name: f"(?:{'|'.join(alternatives)})" for name, alternatives in data["words"].items()}
    patterns: dict[AnswerType, re.Pattern[str]] = {}
    for name in get_args(AnswerType):
        pattern = "|".join(f"(?:{alternative})" for alternative in data[table][name])
        for word, alternatives in words.items():
            pattern = pattern.replace(f"{{{word}}}", alternatives)
        is_cased = table == "holds" and name in _CASED
        patterns[name] = re.compile(pattern, 0 if is_cased else re.IGNORECASE)
    return patterns
