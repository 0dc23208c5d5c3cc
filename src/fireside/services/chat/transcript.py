"""An answer put together from its events: what is stored of it, and how its events become bytes and back."""

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import replace

from pydantic import TypeAdapter

from fireside.contracts.answer import (
    AnswerEvent,
    Artifact,
    Failed,
    Final,
    Mode,
    Quality,
    Source,
    Sources,
    Step,
    Token,
    Usage,
)
from fireside.contracts.base import Contract
from fireside.contracts.conversation import NumberedEvent
from fireside.core.ids import MessageId
from fireside.ports.conversation_records import EventBatch, MessageRecord

_EVENTS: TypeAdapter[list[tuple[int, AnswerEvent]]] = TypeAdapter(list[tuple[int, AnswerEvent]])


class AnswerDetails(Contract):
    """What an answer knows of itself beside its text and figures; stored as one JSON object."""

    confidence_reasons: tuple[str, ...] = ()
    sources: tuple[Source, ...] = ()
    quality: Quality | None = None
    steps: tuple[Step, ...] = ()
    artifacts: tuple[Artifact, ...] = ()
    degraded: tuple[str, ...] = ()
    error: Failed | None = None


class Transcript:
    """Adds up the events of one answer in order."""

    def __init__(self, events: Iterable[AnswerEvent] = ()) -> None:
        self._texts: list[str] = []
        self._sources: tuple[Source, ...] = ()
        self._quality: Quality | None = None
        self._steps: list[Step] = []
        self._artifacts: list[Artifact] = []
        self.text_chars = 0
        self.final: Final | None = None
        self.error: Failed | None = None
        for event in events:
            self.add(event)

    def add(self, event: AnswerEvent) -> None:
        """Take the next event in."""
        match event:
            case Token(text=text):
                self._texts.append(text)
                self.text_chars += len(text)
            case Step():
                self._steps.append(event)
            case Sources(sources=sources):
                self._sources = sources
            case Quality():
                self._quality = event
            case Artifact():
                self._artifacts.append(event)
            case Final():
                self.final = event
            case Failed():
                self.error = event
            case _:
                pass

    @property
    def content(self) -> str:
        """The text so far; that of the final event once there is one."""
        return self.final.content if self.final else "".join(self._texts)

    def partial_final(self, *, mode: Mode, model: str | None, reason: str) -> Final:
        """The final event of an answer that ends here although its writer had more to say."""
        return Final(
            content=self.content,
            mode=mode,
            model=model,
            confidence=0.0,
            confidence_reasons=(reason,),
            sources=self._sources,
        )

    def apply_to(self, answer: MessageRecord) -> MessageRecord:
        """The answer with everything the events say about it; its state and times stay."""
        final = self.final
        details = AnswerDetails(
            confidence_reasons=final.confidence_reasons if final else (),
            sources=final.sources if final else self._sources,
            quality=self._quality,
            steps=tuple(self._steps),
            artifacts=tuple(self._artifacts),
            degraded=final.degraded if final else (),
            error=self.error,
        )
        return replace(
            answer,
            content=self.content,
            mode=final.mode if final else answer.mode,
            model=final.model if final else answer.model,
            confidence=final.confidence if final else None,
            usage=(final.usage if final else Usage()).model_dump(),
            details=details.model_dump_json(),
        )


def batch_of(message_id: MessageId, events: Sequence[NumberedEvent]) -> EventBatch:
    """Consecutive events, at least one, as they are stored: compressed JSON."""
    payload = _EVENTS.dump_json([(event.id, event.event) for event in events])
    return EventBatch(message_id, events[0].id, events[-1].id, zlib.compress(payload, 1))


def events_of(batch: EventBatch) -> list[NumberedEvent]:
    """The events of a stored batch, in order."""
    return [
        NumberedEvent(id=number, message_id=batch.message_id, event=event)
        for number, event in _EVENTS.validate_json(zlib.decompress(batch.payload))
    ]
