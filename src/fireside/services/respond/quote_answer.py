"""Answering by quoting: the documents' own words, no model needed. Also the answer when there is nothing to quote."""

from collections.abc import AsyncGenerator

from fireside.contracts.answer import AnswerEvent, Claim, Sources, Token
from fireside.services.respond.confidence import Assessment
from fireside.services.respond.model import Draft
from fireside.services.respond.phrases import phrase
from fireside.services.respond.quoting import compose, harmless, to_quotes
from fireside.services.respond.reading import Reading
from fireside.services.respond.task import AnswerTask, Outcome, closing_events, step
from fireside.services.respond.weights import REFUSAL_CONFIDENCE

_NEAREST_TITLES = 3
_NOTHING_FOUND = "No passage was found for this question."
_NOT_SEARCHED = "The documents could not be searched."


async def quote(task: AnswerTask, reading: Reading) -> AsyncGenerator[AnswerEvent]:
    """Quote what answers the question, with citations."""
    begun = task.clock.monotonic()
    draft = quoted_draft(task, reading)
    yield Sources(sources=draft.sources)
    for paragraph in draft.content.split("\n\n"):
        yield Token(text=paragraph if paragraph is draft.content else f"{paragraph}\n\n")
    yield step(task, "respond", "quote", "done", detail=f"{len(reading.quotes)} quotes", begun=begun)
    for event in closing_events(task, quoted_outcome(draft, reading), begun=task.clock.monotonic()):
        yield event


def quoted_draft(task: AnswerTask, reading: Reading) -> Draft:
    """The answer that consists of a reading's quotes."""
    return compose(to_quotes(reading.quotes), task.passages, language=task.language)


def quoted_outcome(draft: Draft, reading: Reading) -> Outcome:
    """What is known of an answer made of quotes: each is supported by its source, being taken from it."""
    assessment = reading.assessment
    return Outcome(
        content=draft.content,
        sources=draft.sources,
        claims=quoted_claims(draft),
        confidence=assessment.confidence,
        reasons=assessment.reasons,
        is_complete=len(reading.answered) == len(reading.aspects),
    )


def quoted_claims(draft: Draft) -> tuple[Claim, ...]:
    """Each quoted range as a claim."""
    return tuple(
        Claim(text=" ".join(source.text[span.start : span.end].split()), sources=(source.n,), supported=True)
        for source in draft.sources
        for span in source.spans
    )


async def refuse(task: AnswerTask, assessment: Assessment | None) -> AsyncGenerator[AnswerEvent]:
    """Say that the documents do not answer, and name those that come nearest; or that they could not be searched."""
    searched = task.request.evidence.searched
    titles = list(dict.fromkeys(harmless(passage.title) for passage in task.passages))[:_NEAREST_TITLES]
    content = phrase("not_found" if searched else "not_searched", task.language)
    if titles:
        content += "\n\n" + "\n".join([phrase("nearest", task.language), *(f"- *{title}*" for title in titles)])
    outcome = Outcome(
        content=content,
        confidence=REFUSAL_CONFIDENCE if assessment else 0.0,
        reasons=assessment.reasons if assessment else (_NOTHING_FOUND if searched else _NOT_SEARCHED,),
    )
    yield Sources(sources=())
    yield Token(text=content)
    for event in closing_events(task, outcome, begun=task.clock.monotonic()):
        yield event
