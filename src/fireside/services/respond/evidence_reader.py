"""Reading the evidence of a question with the embedder's help, or by words alone when it does not answer."""

import asyncio

import numpy as np

from fireside.contracts import embeddings
from fireside.contracts.embeddings import EmbedTexts
from fireside.core.errors import FiresideError
from fireside.services.respond.reading import Reading, ReadingRules, read_evidence
from fireside.services.respond.scoring import Candidate, Floats, find_candidates
from fireside.services.respond.selection import SelectionLimits
from fireside.services.respond.task import AnswerTask


async def read(task: AnswerTask) -> Reading | None:
    """Find what the evidence says on each part of the question; None when there is nothing to quote at all.

    Without an embedder sentences are compared by their words, and the task says so in `degraded`.
    """
    analysis = task.request.analysis
    aspects = analysis.aspects or (analysis.standalone_query,)
    candidates = await asyncio.to_thread(find_candidates, task.passages, limit=task.settings.most_units)
    if not candidates:
        return None
    similarities = await _similarities(task, aspects, candidates)
    settings = task.settings
    rules = ReadingRules(
        language=task.language,
        limits=SelectionLimits(max_units=settings.quoted_units, max_chars=settings.quoted_chars),
        refusal_threshold=settings.refusal_threshold,
        said_before=_previous_answer(task) if analysis.rewritten else "",
    )
    return await asyncio.to_thread(
        read_evidence, aspects, candidates, task.passages, similarities=similarities, rules=rules
    )


async def _similarities(task: AnswerTask, aspects: tuple[str, ...], candidates: list[Candidate]) -> Floats | None:
    texts = (*aspects, *(candidate.context for candidate in candidates))
    try:
        reply = await task.context.as_service("respond").call(
            embeddings.EMBED, EmbedTexts(texts=texts), timeout_s=task.settings.embed_timeout_s
        )
    except FiresideError:
        task.degraded.append("Sentences were compared by their words only, because the embedder did not answer.")
        return None
    vectors = np.frombuffer(reply.vectors, dtype="<f4").reshape(-1, reply.dimensions)
    return vectors[: len(aspects)] @ vectors[len(aspects) :].T


def _previous_answer(task: AnswerTask) -> str:
    answers = [turn.content for turn in task.request.history if turn.role == "assistant"]
    return answers[-1] if answers else ""
