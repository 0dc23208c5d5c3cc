"""Answering in the model's words: each finished sentence is attributed to the passage that bears it out, or left out.

Nothing a model wrote reaches the reader before it is checked. When nothing of it holds, the quotes take its place.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field

from fireside.contracts.answer import AnswerEvent, Claim, Passage, Source, Sources, Span, Step, Token
from fireside.contracts.inference import Chat, ChatEnd
from fireside.core.errors import FiresideError
from fireside.runtime.metering import LimitExceededError
from fireside.services.respond.attribution import AttributedSentence, attribute
from fireside.services.respond.budget import ContextBudget, FittedContext, fit_context
from fireside.services.respond.grounding import nearest_range
from fireside.services.respond.model import make_source
from fireside.services.respond.model_stream import model_stream
from fireside.services.respond.prompt import NOT_FOUND_MARK, chat_messages, fitted_instructions, passages_and_question
from fireside.services.respond.quote_answer import quote
from fireside.services.respond.quoting import harmless
from fireside.services.respond.reading import Reading
from fireside.services.respond.sentence_stream import SentenceStream
from fireside.services.respond.task import AnswerTask, Outcome, closing_events, step


@dataclass(slots=True)
class _Written:
    """What a model has written so far, checked."""

    kept: list[AttributedSentence] = field(default_factory=lambda: list[AttributedSentence]())
    left_out: list[AttributedSentence] = field(default_factory=lambda: list[AttributedSentence]())
    text: str = ""
    end: ChatEnd | None = None
    broke_off: bool = False


async def write(task: AnswerTask, reading: Reading) -> AsyncGenerator[AnswerEvent]:
    """Let the model write from the passages and keep what they bear out; quote when nothing holds."""
    begun = task.clock.monotonic()
    fitted = _fitted(task, reading)
    sources = tuple(make_source(n, passage) for n, passage in enumerate(fitted.passages, 1))
    yield Sources(sources=sources)
    written = _Written()
    async for event in _checked(task, fitted, written):
        yield event
    if not written.kept:
        task.degraded.append("What the model wrote was not borne out by the documents; they are quoted instead.")
        yield step(task, "respond", "write", "failed", begun=begun)
        async with aclosing(quote(task, reading)) as events:
            async for event in events:
                yield event
        return
    detail = f"{len(written.kept)} sentences kept, {len(written.left_out)} left out"
    yield step(task, "respond", "write", "done", detail=detail, begun=begun)
    for event in closing_events(task, _outcome(task, written, sources, reading), begun=task.clock.monotonic()):
        yield event


async def _checked(task: AnswerTask, fitted: FittedContext, written: _Written) -> AsyncIterator[Step | Token]:
    try:
        async with aclosing(_pieces(task, fitted, written)) as pieces:
            async for piece in pieces:
                if isinstance(piece, Step):
                    yield piece
                    continue
                for token in _check(task, fitted.passages, piece, written):
                    yield token
    except LimitExceededError:
        raise
    except FiresideError:
        written.broke_off = True
        task.degraded.append("The model broke off before the end of its answer.")
    task.note_fallback(written.end)


async def _pieces(task: AnswerTask, fitted: FittedContext, written: _Written) -> AsyncGenerator[Step | str]:
    """The model's text, a finished sentence at a time, after the steps of waiting for it."""
    stream = SentenceStream()
    async with aclosing(model_stream(task, _chat(task, fitted))) as items:
        async for item in items:
            if isinstance(item, Step):
                yield item
            elif isinstance(item, ChatEnd):
                written.end = item
            else:
                for piece in stream.add(item.text):
                    yield piece
    for piece in stream.finish():
        yield piece


def _check(task: AnswerTask, passages: tuple[Passage, ...], piece: str, written: _Written) -> list[Token]:
    """Check one finished piece of the model's text; what is kept comes back as tokens."""
    if NOT_FOUND_MARK in piece.upper():
        return []
    marker, sentence, space = SentenceStream.parts(piece)
    if not any(character.isalnum() for character in sentence):
        return []
    checked = attribute(sentence, passages, language=task.language, least_coverage=task.settings.least_coverage)
    if not checked.sources:
        written.left_out.append(checked)
        return []
    written.kept.append(checked)
    shown = f"{marker}{harmless(checked.text)} {checked.citations}{space}"
    written.text += shown
    return [Token(text=shown)]


def _fitted(task: AnswerTask, reading: Reading) -> FittedContext:
    """The passages that answer first, then the others, as many as the window holds."""
    order = dict.fromkeys([*(candidate.passage for candidate in reading.quotes), *range(len(task.passages))])
    fitted = fit_context(
        _system(task) + task.request.question,
        [task.passages[index] for index in order],
        task.request.history,
        budget=_budget(task),
    )
    task.degraded.extend(fitted.notices())
    return fitted


def _chat(task: AnswerTask, fitted: FittedContext) -> Chat:
    last = passages_and_question(fitted.passages, task.request.question)
    return Chat(
        messages=chat_messages(_system(task), fitted.history, last),
        model=task.request.model,
        max_tokens=_answer_tokens(task),
        temperature=0.0,
    )


def _system(task: AnswerTask) -> str:
    return fitted_instructions(task, "answer", budget=_budget(task))


def _budget(task: AnswerTask) -> ContextBudget:
    return ContextBudget(window_tokens=_window(task), answer_tokens=_answer_tokens(task))


def _window(task: AnswerTask) -> int:
    return task.profile.context_tokens if task.profile else 4096


def _answer_tokens(task: AnswerTask) -> int:
    return min(task.request.max_tokens or task.settings.answer_tokens, _window(task) // 2)


def _outcome(task: AnswerTask, written: _Written, sources: tuple[Source, ...], reading: Reading) -> Outcome:
    cited = {n for sentence in written.kept for n in sentence.sources}
    left_out = bool(written.left_out)
    assessment = reading.assessment
    reasons = assessment.reasons
    share = len(written.kept) / (len(written.kept) + len(written.left_out))
    if left_out:
        reasons = ("Some of what the model wrote was not borne out by the documents and was left out.", *reasons)
    return Outcome(
        content=written.text.strip(),
        sources=tuple(_with_spans(task, source, written) for source in sources if source.n in cited),
        claims=(
            *(Claim(text=sentence.text, sources=sentence.sources, supported=True) for sentence in written.kept),
            *(Claim(text=sentence.text, sources=(), supported=False) for sentence in written.left_out),
        ),
        confidence=assessment.confidence * share,
        reasons=reasons,
        end=written.end,
        is_complete=not left_out and not written.broke_off and len(reading.answered) == len(reading.aspects),
    )


def _with_spans(task: AnswerTask, source: Source, written: _Written) -> Source:
    """The source with the ranges that the sentences citing it rest on."""
    ranges = {
        nearest_range(sentence.text, source.text, language=task.language)
        for sentence in written.kept
        if source.n in sentence.sources
    }
    return source.model_copy(update={"spans": tuple(Span(start=start, end=end) for start, end in sorted(ranges))})
