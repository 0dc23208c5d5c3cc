"""How answers end: the last events of each kind of end, the stored answer, and the fact that it is over."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from http import HTTPStatus
from typing import cast

from fireside.contracts.answer import AnswerEvent, Done, Failed, Final, Mode, Usage
from fireside.contracts.conversation import AnswerFinished, MessageState
from fireside.core.errors import FiresideError, UnavailableError
from fireside.ports.conversation_records import MessageRecord
from fireside.runtime.errors import FAILED_PART
from fireside.services.chat.transcript import Transcript

STOPPED = "The answer was stopped before its end."


class AnswerInterruptedError(UnavailableError):
    """The answer was interrupted when its server stopped; what had been written is kept, and it can be regenerated."""

    code = "answer_interrupted"


@dataclass(frozen=True, slots=True)
class Ending:
    """The state an answer ends in and the events that say so."""

    state: MessageState
    events: Sequence[AnswerEvent]


def complete(answer: MessageRecord, final: Final) -> Ending:
    """The answer is whole."""
    return Ending("complete", (final.model_copy(update={"message_id": answer.id}), Done()))


def stopped(answer: MessageRecord, transcript: Transcript) -> Ending:
    """Its reader has read enough: what is there is the answer."""
    final = transcript.partial_final(mode=_mode_of(answer), model=answer.model, reason=STOPPED)
    return Ending("stopped", (final.model_copy(update={"message_id": answer.id}), Done()))


def interrupted(*, request_id: str | None = None) -> Ending:
    """Its server went away."""
    return Ending("interrupted", (failure(AnswerInterruptedError(), request_id=request_id), Done()))


def failed(error: FiresideError, *, request_id: str | None = None) -> Ending:
    """It could not be written to its end."""
    return Ending("failed", (failure(error, request_id=request_id), Done()))


def failure(error: FiresideError, *, request_id: str | None = None) -> Failed:
    """An error as an event of an answer."""
    return Failed(
        code=error.code,
        title=HTTPStatus(error.status).phrase,
        status=error.status,
        detail=error.message,
        request_id=request_id,
        details={name: value for name, value in error.details.items() if name != FAILED_PART},
    )


def ended(answer: MessageRecord, transcript: Transcript, state: MessageState, now: datetime) -> MessageRecord:
    """The answer as it is stored at its end."""
    return replace(transcript.apply_to(answer), state=state, finished_at=now, lease=None)


def fact_of(answer: MessageRecord) -> AnswerFinished:
    """That this answer is over."""
    if answer.finished_at is None:
        raise ValueError(f"the answer {answer.id} has not ended")
    return AnswerFinished(
        message_id=answer.id,
        conversation_id=answer.conversation_id,
        owner_id=answer.owner_id,
        state=cast("MessageState", answer.state),
        mode=cast("Mode | None", answer.mode),
        model=answer.model,
        confidence=answer.confidence,
        usage=Usage.model_validate(answer.usage),
        finished_at=answer.finished_at,
    )


def _mode_of(answer: MessageRecord) -> Mode:
    return "general" if answer.mode == "general" else "company"
