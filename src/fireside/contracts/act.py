"""What the act service offers: gathering the evidence that an analysed question needs."""

from pydantic import Field

from fireside.contracts.answer import Passage, Step
from fireside.contracts.base import SIGNED_IN, Action, Contract
from fireside.contracts.think import Analysis


class GatherEvidence(Contract):
    """An analysed question and how much to gather for it.

    `collections` narrows the search to those named, as in `documents.search`; empty means all that are readable.
    """

    analysis: Analysis
    limit: int = Field(default=8, ge=1, le=50)
    collections: tuple[str, ...] = ()


class Evidence(Contract):
    """Passages that may hold the answer, best first, and what could not be done while looking.

    `degraded` holds one plain sentence for each part that was unavailable or fell back. `searched` is False when no
    search was answered, so that finding nothing says nothing about the documents.
    """

    passages: tuple[Passage, ...] = ()
    degraded: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()
    searched: bool = True


RUN: Action[GatherEvidence, Evidence] = Action(
    "act.run", GatherEvidence, Evidence, access=SIGNED_IN, idempotent=True, timeout_s=60.0
)
