"""Guessing the language of a text from its script and its commonest words. Enough to pick stop words and phrases."""

import re
from collections.abc import Sequence

from fireside.core.lexicon import stop_words, tokens

_SCRIPTS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("ja", re.compile(r"[\u3040-\u30ff]")),
    ("ko", re.compile(r"[\uac00-\ud7af]")),
    ("zh", re.compile(r"[\u3400-\u9fff]")),
    ("th", re.compile(r"[\u0e00-\u0e7f]")),
    ("ar", re.compile(r"[\u0600-\u06ff]")),
    ("he", re.compile(r"[\u0590-\u05ff]")),
    ("el", re.compile(r"[\u0370-\u03ff]")),
    ("hi", re.compile(r"[\u0900-\u097f]")),
    ("ru", re.compile(r"[\u0400-\u04ff]")),
)
_LETTERS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("de", re.compile(r"[äöüß]", re.IGNORECASE)),
    ("es", re.compile(r"[ñ¿¡]", re.IGNORECASE)),
    ("pt", re.compile(r"[ãõ]", re.IGNORECASE)),
    ("fr", re.compile(r"[êèùœç]|\b(?:qu|l|d|c|j|n)['’]", re.IGNORECASE)),
)


def detect_language(text: str, *, earlier: Sequence[str] = (), default: str = "en") -> str:
    """The ISO 639-1 code of the language that a text seems to be in.

    Args:
        text: As short as a few words.
        earlier: Texts of the same person, newest first; they decide when this one does not tell.
        default: What to say when nothing tells.
    """
    for candidate in (text, *earlier):
        found = _by_script(candidate) or _by_words(candidate)
        if found:
            return found
    return default


def _by_script(text: str) -> str | None:
    letters = sum(character.isalpha() for character in text)
    for code, pattern in _SCRIPTS:
        if letters and len(pattern.findall(text)) >= 0.2 * letters:
            return code
    return None


def _by_words(text: str) -> str | None:
    words = tokens(text)
    scores = {code: float(sum(word in stops for word in words)) for code, stops in stop_words().items()}
    for code, pattern in _LETTERS:
        scores[code] += 0.9 * bool(pattern.search(text))
    ranked = sorted(scores, key=lambda code: -scores[code])
    best, second = ranked[0], ranked[1]
    return best if scores[best] > scores[second] else None
