"""Making a follow-up question understandable without the conversation before it, by rules.

A question that leans on the conversation (it points back, begins with "and", or is a mere fragment) is joined with
the question it leans on. That keeps every entity, works in any language, and measured better on multi-turn questions
than the last turn alone or the whole conversation (docs/decisions/follow-ups.md).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from fireside.contracts.answer import Turn
from fireside.core.lexicon import content_terms
from fireside.services.think.cues import cue_pattern

_EDGES = re.compile(r"^[\W_]+")


@dataclass(frozen=True, slots=True)
class Standalone:
    """A question on its own feet. `context` is the earlier question it was joined with, empty if none."""

    text: str
    context: str = ""

    @property
    def rewritten(self) -> bool:
        """Whether the text differs from what was asked."""
        return bool(self.context)


def leans_on_history(question: str, *, language: str, fragment_terms: int = 2) -> bool:
    """Whether a question can hardly be understood alone.

    Args:
        question: As asked.
        language: ISO 639-1 code.
        fragment_terms: Up to so many words of meaning a question counts as a fragment.
    """
    bare = _EDGES.sub("", question)
    return bool(
        cue_pattern("connectives", language).match(bare)
        or cue_pattern("anaphora", language).search(bare)
        or len(content_terms(bare, language)) <= fragment_terms
    )


def make_standalone(question: str, history: Sequence[Turn], *, language: str, reach: int = 2) -> Standalone:
    """Join a leaning question with the question it leans on, and that one with its own, up to `reach` back.

    Args:
        question: The newest question.
        history: Turns before it, oldest first.
        language: ISO 639-1 code.
        reach: Most earlier questions to join.
    """
    earlier = [turn.content.strip() for turn in history if turn.role == "user" and turn.content.strip()]
    if not earlier or not leans_on_history(question, language=language):
        return Standalone(question)
    context: list[str] = []
    for previous in reversed(earlier):
        context.insert(0, previous)
        if len(context) >= reach or not leans_on_history(previous, language=language):
            break
    joined = " ".join(context)
    return Standalone(f"{joined} {question}", joined)
