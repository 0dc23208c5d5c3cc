"""Finding the passages that bear out what a model wrote, sentence by sentence.

A model's own `[n]` is a proposal: it is tried first and checked like any other passage. What no passage bears out stays
without a source.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from fireside.contracts.answer import Passage
from fireside.services.respond.grounding import check_claim

_CITATION = re.compile(r"\s?\[(\d{1,3}(?:\s?,\s?\d{1,3})*)\]")
_MOST_SOURCES = 2


@dataclass(frozen=True, slots=True)
class AttributedSentence:
    """A sentence of the answer without its citations, and the numbers of the passages that bear it out."""

    text: str
    sources: tuple[int, ...]

    @property
    def citations(self) -> str:
        """Its sources as they stand in an answer: `[1][3]`."""
        return "".join(f"[{n}]" for n in self.sources)


def attribute(
    sentence: str, passages: Sequence[Passage], *, language: str, least_coverage: float
) -> AttributedSentence:
    """Attribute one sentence.

    Args:
        sentence: As the model wrote it, perhaps with citations.
        passages: Those of the prompt; `[1]` is the first.
        language: ISO 639-1 code.
        least_coverage: Share of the sentence's words that a passage must hold to count as its source.
    """
    proposed = [int(n) - 1 for match in _CITATION.findall(sentence) for n in match.split(",")]
    text = _CITATION.sub("", sentence).strip()
    supports = {
        index: support.coverage + (0.2 if index in proposed else 0.0)
        for index, passage in enumerate(passages)
        if (support := check_claim(text, passage.text, language=language)).holds(least_coverage=least_coverage)
    }
    best = sorted(supports, key=lambda index: -supports[index])[:_MOST_SOURCES]
    chosen = [index for index in best if index in proposed] or best[:1]
    return AttributedSentence(text, tuple(sorted(index + 1 for index in chosen)))
