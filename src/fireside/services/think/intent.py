"""Telling by rules what a message wants: a greeting, talk, the assistant itself, a text to be made, or knowledge."""

import re

from fireside.contracts.think import Intent
from fireside.services.think.cues import CueKind, cue_languages, cue_pattern

_WHOLE: tuple[tuple[Intent, CueKind], ...] = (
    ("greeting", "greeting"),
    ("about_assistant", "about_assistant"),
    ("small_talk", "small_talk"),
)
_EDGES = re.compile(r"^[\W_]+|[\W_]+$")
_NAME = re.compile(r"[\s,]+(?:fireside|there|all|everyone|team)$", re.IGNORECASE)


def classify(message: str, *, language: str) -> tuple[Intent, str]:
    """The intent of a message; whatever is nothing else asks for knowledge (`documents`).

    Returns:
        The intent, and the language of the words that told it: a greeting is often all there is of a language.
    """
    bare = _EDGES.sub("", message)
    bare = _NAME.sub("", bare) or bare
    for intent, kind in _WHOLE:
        for code in dict.fromkeys((language, *cue_languages(kind))):
            if cue_pattern(kind, code).fullmatch(bare):
                return intent, code
    if cue_pattern("task", language).match(bare) and not cue_pattern("organisation", language).search(bare):
        return "task", language
    return "documents", language
