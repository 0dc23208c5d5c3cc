"""What the think service offers: understanding a question before anything is looked up."""

from typing import Literal

from pydantic import Field

from fireside.contracts.answer import Mode, RequestedMode, Step, Turn
from fireside.contracts.base import SIGNED_IN, Action, Contract

Intent = Literal["greeting", "small_talk", "about_assistant", "documents", "task"]


class AnalyzeQuestion(Contract):
    """A question as it was typed, with the turns before it, oldest first."""

    question: str = Field(min_length=1)
    history: tuple[Turn, ...] = ()
    mode: RequestedMode = "auto"
    model: str | None = None


class Analysis(Contract):
    """What the question is, and how to look for its answer.

    `language` is an ISO 639-1 code. `standalone_query` is the question made understandable without its history,
    `aspects` the questions inside it, at least one; `search_queries` are what to search for, most important first.
    """

    intent: Intent
    language: str
    mode: Mode
    standalone_query: str
    search_queries: tuple[str, ...]
    aspects: tuple[str, ...] = ()
    needs_documents: bool
    rewritten: bool = False
    steps: tuple[Step, ...] = ()


ANALYZE: Action[AnalyzeQuestion, Analysis] = Action(
    "think.analyze", AnalyzeQuestion, Analysis, access=SIGNED_IN, idempotent=True
)
