"""Cutting a question that asks for two or more things into the questions it is made of, by rules."""

import re

from fireside.core.lexicon import content_terms
from fireside.services.think.cues import cue_pattern
from fireside.services.think.follow_up import leans_on_history

_JOINT = re.compile(
    r"\s*[,;]\s*(?:and|und|et|y|e|en|ed)\s+|[,;]?\s+(?P<compared>compared (?:with|to)|versus|vs\.?|as opposed to)\s+"
    r"|[?;]\s+|\s+(?:and|und|et|y|e|en)\s+",
    re.IGNORECASE,
)
_PREPOSITION = re.compile(
    r"(?:for|in|on|at|with|when|if|of|from|to|für|mit|bei|wenn|von|pour|dans|avec|para|con|per|voor|bij|com)(?=\s)",
    re.IGNORECASE,
)
_MOST_PARTS = 3
_FEWEST_TERMS = 2


def split_question(question: str, *, language: str) -> list[str]:
    """The questions inside a question, in order; a list of one when it asks for one thing.

    A later part that only names another case ("and for the phone?", "and which in Rome?") takes the place of the
    first part's case; one that points back is joined with the first.
    """
    parts: list[str] = []
    begin = 0
    for joint in _JOINT.finditer(question):
        part, rest = question[begin : joint.start()].strip(), question[joint.end() :]
        if _has_meaning(part, language) and _begins_question(rest, joint, language):
            parts.append(part)
            begin = joint.end()
    parts.append(question[begin:].strip())
    if not 2 <= len(parts) <= _MOST_PARTS or not all(_has_meaning(part, language) for part in parts):
        return [question]
    return [parts[0], *(_completed(part, parts[0], language) for part in parts[1:])]


def _begins_question(rest: str, joint: re.Match[str], language: str) -> bool:
    if joint["compared"] or cue_pattern("question_words", language).match(rest):
        return True
    return joint[0].lstrip()[0] in ",;" and bool(_PREPOSITION.match(rest))


def _has_meaning(part: str, language: str) -> bool:
    return len(content_terms(part, language)) >= _FEWEST_TERMS or bool(re.search(r"\b[A-Z]\w+", part[1:]))


def _completed(part: str, first: str, language: str) -> str:
    """A later part with the words of the first that it leaves out."""
    asking = cue_pattern("question_words", language).match(part)
    bare = part[asking.end() :].lstrip() if asking and not _PREPOSITION.match(part) else part
    preposition = _PREPOSITION.match(bare)
    if preposition:
        cut = first.casefold().rfind(f" {preposition[0].casefold()} ")
        return f"{first[:cut] if cut > 0 else first} {bare}"
    if leans_on_history(part, language=language) or not asking:
        return f"{first} {part}"
    return part
