"""One answer in the making: what was asked, what was found, and the pieces that every way of answering shares."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from fireside.contracts.answer import (
    AnswerEvent,
    Claim,
    Final,
    FinishReason,
    Grounding,
    Passage,
    Quality,
    Source,
    Stage,
    Step,
    Usage,
)
from fireside.contracts.inference import ChatEnd, ModelProfile
from fireside.contracts.respond import GenerateAnswer
from fireside.core.clock import Clock
from fireside.runtime.mesh import Context
from fireside.services.respond.conflicts import find_conflicts
from fireside.services.respond.settings import RespondSettings


@dataclass(slots=True)
class AnswerTask:
    """The state of one answer. `degraded` grows when a part is missing; everything else stays."""

    context: Context
    request: GenerateAnswer
    settings: RespondSettings
    clock: Clock
    profile: ModelProfile | None = None
    degraded: list[str] = field(default_factory=lambda: list[str]())

    @property
    def language(self) -> str:
        """The language of the question."""
        return self.request.analysis.language

    @property
    def passages(self) -> tuple[Passage, ...]:
        """The evidence, best first."""
        return self.request.evidence.passages

    def note_fallback(self, end: ChatEnd | None) -> None:
        """Note it when another model than the one asked for has answered."""
        if end is not None and end.fallback:
            wanted = end.instead_of or "The model asked for"
            reason = f" ({end.reason})" if end.reason else ""
            self.degraded.append(f"{wanted} did not answer{reason}; {end.model} answered instead.")


@dataclass(frozen=True, slots=True)
class Outcome:
    """A finished text and what is known of it."""

    content: str
    sources: tuple[Source, ...] = ()
    claims: tuple[Claim, ...] = ()
    confidence: float = 0.0
    reasons: tuple[str, ...] = ()
    end: ChatEnd | None = None
    """What the model reported when it had finished; None when none was asked or it failed."""
    is_complete: bool = True
    """Whether every part of the question is answered."""

    @property
    def finish_reason(self) -> FinishReason:
        """Why the text ends where it does; what no model wrote ends of itself."""
        match self.end.finish_reason if self.end else "stop":
            case "length" | "content_filter" as cut:
                return cut
            case _:
                return "stop"


def closing_events(task: AnswerTask, outcome: Outcome, *, begun: float) -> Sequence[AnswerEvent]:
    """The events that end every answer: the check's step, quality, final.

    Args:
        task: The answer's circumstances.
        outcome: What was written.
        begun: When checking began, on the task's clock.
    """
    conflicts = find_conflicts(task.request.analysis.standalone_query, outcome.sources, language=task.language)
    grounded = grounding(outcome)
    supported = sum(claim.supported for claim in outcome.claims)
    checked = f"{supported} of {len(outcome.claims)} statements are supported" if outcome.claims else "nothing to check"
    detail = f"{checked}; {len(conflicts)} contradictions" if conflicts else checked
    return (
        step(task, "check", "grounding", "done", detail=detail, begun=begun),
        Quality(grounded=grounded, claims=outcome.claims, conflicts=conflicts),
        Final(
            content=outcome.content,
            mode=task.request.analysis.mode,
            model=outcome.end.model if outcome.end else None,
            confidence=round(outcome.confidence, 3),
            confidence_reasons=outcome.reasons,
            sources=outcome.sources,
            usage=outcome.end.usage if outcome.end else Usage(),
            degraded=tuple(dict.fromkeys((*task.request.evidence.degraded, *task.degraded))),
            finish_reason=outcome.finish_reason,
        ),
    )


def grounding(outcome: Outcome) -> Grounding:
    """Whether all, some or none of the answer stands on sources."""
    if not any(claim.supported for claim in outcome.claims):
        return "unsupported"
    is_whole = outcome.is_complete and all(claim.supported for claim in outcome.claims)
    return "supported" if is_whole else "partial"


def step(
    task: AnswerTask,
    stage: Stage,
    name: str,
    status: Literal["started", "done", "skipped", "failed"],
    *,
    detail: str = "",
    begun: float | None = None,
) -> Step:
    """A step event; `begun` on the task's clock gives it its duration."""
    elapsed_ms = None if begun is None else round((task.clock.monotonic() - begun) * 1000, 1)
    return Step(stage=stage, name=name, status=status, detail=detail, elapsed_ms=elapsed_ms)
