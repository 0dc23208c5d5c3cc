"""What the respond service offers: the answer itself, as a stream of events."""

from pydantic import Field

from fireside.contracts.act import Evidence
from fireside.contracts.answer import AnswerEvent, Turn
from fireside.contracts.base import SIGNED_IN, Contract, StreamAction
from fireside.contracts.inference import LONGEST_ANSWER_S
from fireside.contracts.think import Analysis


class GenerateAnswer(Contract):
    """All that an answer is made from. `history` is oldest first and does not hold the question itself."""

    question: str = Field(min_length=1)
    analysis: Analysis
    evidence: Evidence = Evidence()
    history: tuple[Turn, ...] = ()
    model: str | None = None
    authors_note: str | None = None
    max_tokens: int | None = Field(default=None, ge=1)


GENERATE: StreamAction[GenerateAnswer, AnswerEvent] = StreamAction(
    "respond.generate", GenerateAnswer, AnswerEvent, access=SIGNED_IN, timeout_s=LONGEST_ANSWER_S
)
"""Emits step (stages respond and check), sources, token, quality and one final, in that order; never done."""
