"""A question's way: think, act when documents are needed, respond. Nothing is stored here.

Each stage is announced and timed, and fails into something less:

| fails | then |
|---|---|
| think | the question is searched for as it stands, in the mode asked for |
| act | the answer is written without passages |
| respond, before its first word | the best passages are shown as they are; without any, the answer fails |
| respond, after its first word | the answer fails, and what was written stays |
"""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass

from fireside.contracts import act, respond, think
from fireside.contracts.act import Evidence, GatherEvidence
from fireside.contracts.answer import (
    AnswerEvent,
    Final,
    Passage,
    RequestedMode,
    Source,
    Sources,
    Stage,
    Step,
    Token,
    Turn,
)
from fireside.contracts.respond import GenerateAnswer
from fireside.contracts.think import Analysis, AnalyzeQuestion
from fireside.core.clock import Clock
from fireside.core.errors import FiresideError, UpstreamError
from fireside.runtime.context import Context
from fireside.runtime.metering import LimitExceededError
from fireside.services.chat.notes import with_notes

_SHOWN_PASSAGES = 3
_SHOWN_CHARS = 600


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked. `history` is oldest first and does not hold the question itself; `notes` may be quoted."""

    text: str
    history: tuple[Turn, ...] = ()
    notes: tuple[Passage, ...] = ()
    mode: RequestedMode = "auto"
    model: str | None = None
    authors_note: str | None = None
    max_tokens: int | None = None


class Pipeline:
    """Leads a question through the three services."""

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock

    async def answer(self, context: Context, question: Question) -> AsyncGenerator[AnswerEvent]:
        """The events of an answer in order, the last one final.

        Raises:
            FiresideError: Nothing could be answered, or not to the end.
        """
        run = _Run(context, question, self._clock)
        async for event in run.think():
            yield event
        async for event in run.act():
            yield event
        async with aclosing(run.respond()) as events:
            async for event in events:
                yield event


class _Run:
    """One question on its way, and what the stages left for each other."""

    def __init__(self, context: Context, question: Question, clock: Clock) -> None:
        self._context = context
        self._question = question
        self._clock = clock
        self._analysis = _unanalyzed(question)
        self._evidence = Evidence()
        self._degraded: list[str] = []

    async def think(self) -> AsyncIterator[AnswerEvent]:
        step = _Stopwatch("think", "analyze", self._clock)
        yield step.started()
        request = AnalyzeQuestion(
            question=self._question.text,
            history=self._question.history,
            mode=self._question.mode,
            model=self._question.model,
        )
        try:
            self._analysis = await self._context.call(think.ANALYZE, request)
        except FiresideError as error:
            self._degraded.append("The question could not be analysed; it was searched for as it stands.")
            yield step.failed(error)
            return
        for inner in self._analysis.steps:
            yield inner
        yield step.done(f"{self._analysis.intent}, {self._analysis.mode}")

    async def act(self) -> AsyncIterator[AnswerEvent]:
        step = _Stopwatch("act", "gather", self._clock)
        if not self._analysis.needs_documents:
            yield step.skipped("no documents needed")
            return
        yield step.started()
        notes = self._question.notes
        try:
            found = await self._context.call(act.RUN, GatherEvidence(analysis=self._analysis))
        except FiresideError as error:
            self._evidence = Evidence(passages=notes, searched=False)
            self._degraded.append("The documents could not be searched.")
            yield step.failed(error)
            return
        self._evidence = found.model_copy(update={"passages": with_notes(found.passages, notes)})
        self._degraded.extend(found.degraded)
        for inner in self._evidence.steps:
            yield inner
        yield step.done(f"{len(found.passages)} passages")

    async def respond(self) -> AsyncGenerator[AnswerEvent]:
        question = self._question
        request = GenerateAnswer(
            question=question.text,
            analysis=self._analysis,
            evidence=self._evidence.model_copy(update={"degraded": tuple(self._degraded)}),
            history=question.history,
            model=question.model,
            authors_note=question.authors_note,
            max_tokens=question.max_tokens,
        )
        has_text = False
        try:
            async with aclosing(self._context.stream(respond.GENERATE, request)) as events:
                async for event in events:
                    has_text = has_text or isinstance(event, Token)
                    if isinstance(event, Final):
                        yield self._with_notices(event)
                        return
                    yield event
            raise UpstreamError("the answer broke off before its end")
        except FiresideError as error:
            if has_text or not self._evidence.passages or isinstance(error, LimitExceededError):
                raise
            for event in self._passages_instead(error):
                yield event

    def _with_notices(self, final: Final) -> Final:
        notices = tuple(dict.fromkeys((*self._degraded, *final.degraded)))
        return final if notices == final.degraded else final.model_copy(update={"degraded": notices})

    def _passages_instead(self, error: FiresideError) -> list[AnswerEvent]:
        shown = self._evidence.passages[:_SHOWN_PASSAGES]
        sources = tuple(_source(n, passage) for n, passage in enumerate(shown, 1))
        quotes = [f"> {_shortened(source.text)} [{source.n}]" for source in sources]
        content = "\n\n".join(["These passages are nearest to the question:", *quotes])
        self._degraded.append("No answer could be written; the passages found are shown instead.")
        final = Final(
            content=content,
            mode=self._analysis.mode,
            confidence=0.0,
            confidence_reasons=("No answer was written.",),
            sources=sources,
        )
        return [
            _Stopwatch("respond", "generate", self._clock).failed(error),
            Sources(sources=sources),
            Token(text=content),
            self._with_notices(final),
        ]


class _Stopwatch:
    """Makes the step events of one stage and times it from its making."""

    def __init__(self, stage: Stage, name: str, clock: Clock) -> None:
        self._stage: Stage = stage
        self._name = name
        self._clock = clock
        self._began = clock.monotonic()

    def started(self) -> Step:
        return Step(stage=self._stage, name=self._name, status="started")

    def skipped(self, why: str) -> Step:
        return Step(stage=self._stage, name=self._name, status="skipped", detail=why, elapsed_ms=0.0)

    def done(self, detail: str) -> Step:
        return Step(stage=self._stage, name=self._name, status="done", detail=detail, elapsed_ms=self._elapsed_ms())

    def failed(self, error: FiresideError) -> Step:
        return Step(
            stage=self._stage, name=self._name, status="failed", detail=error.message, elapsed_ms=self._elapsed_ms()
        )

    def _elapsed_ms(self) -> float:
        return round((self._clock.monotonic() - self._began) * 1000, 1)


def _unanalyzed(question: Question) -> Analysis:
    mode = "company" if question.mode == "auto" else question.mode
    return Analysis(
        intent="documents" if mode == "company" else "task",
        language="und",
        mode=mode,
        standalone_query=question.text,
        search_queries=(question.text,),
        needs_documents=mode == "company",
    )


def _source(n: int, passage: Passage) -> Source:
    return Source(n=n, **passage.model_dump(exclude={"stages"}))


def _shortened(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= _SHOWN_CHARS else flat[:_SHOWN_CHARS].rsplit(" ", 1)[0] + " …"
