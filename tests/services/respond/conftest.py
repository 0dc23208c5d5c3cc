"""A respond service on a node of its own, with stand-ins around it."""

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import pytest

from fireside.contracts import respond
from fireside.contracts.act import Evidence
from fireside.contracts.answer import AnswerEvent, Final, Passage, Quality, Source, Sources, Step, Token
from fireside.contracts.permissions import MODELS_USE
from fireside.contracts.respond import GenerateAnswer
from fireside.contracts.think import Analysis
from fireside.core.clock import SystemClock
from fireside.core.identity import user_identity
from fireside.core.ids import UserId, new_id
from fireside.runtime.context import Context
from fireside.services.respond.service import RespondService
from fireside.services.respond.settings import RespondSettings
from fireside.testing.mesh import local_node

from .fakes import ScriptedModel, WordEmbeddings


@dataclass
class Heard:
    """The events of one answer."""

    events: list[AnswerEvent]

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def final(self) -> Final:
        final = self.events[-1]
        assert isinstance(final, Final)
        return final

    @property
    def quality(self) -> Quality:
        (quality,) = self.of(Quality)
        return quality

    @property
    def sources(self) -> tuple[Source, ...]:
        return self.of(Sources)[-1].sources

    @property
    def streamed(self) -> str:
        return "".join(token.text for token in self.of(Token))

    @property
    def steps(self) -> list[tuple[str, str, str]]:
        return [(step.stage, step.name, step.status) for step in self.of(Step)]


@dataclass
class Respond:
    """A running respond service and a way to ask it."""

    context: Context
    model: ScriptedModel
    embeddings: WordEmbeddings

    def request(self, question: str, passages: Sequence[Passage] = (), **fields: Any) -> GenerateAnswer:
        analysis = {
            "intent": "documents",
            "language": "en",
            "mode": "company",
            "standalone_query": question,
            "search_queries": (question,),
            "aspects": (question,),
            "needs_documents": True,
        } | fields.pop("analysis", {})
        return GenerateAnswer(
            question=question,
            analysis=Analysis.model_validate(analysis),
            evidence=Evidence(
                passages=tuple(passages),
                degraded=fields.pop("degraded", ()),
                searched=fields.pop("searched", True),
            ),
            **fields,
        )

    async def ask(self, question: str, passages: Sequence[Passage] = (), **fields: Any) -> Heard:
        request = self.request(question, passages, **fields)
        async with aclosing(self.context.stream(respond.GENERATE, request)) as events:
            return Heard([event async for event in events])


@pytest.fixture
async def answering() -> AsyncIterator[Respond]:
    model, embeddings = ScriptedModel(), WordEmbeddings()
    service = RespondService(settings=RespondSettings(), clock=SystemClock())
    async with local_node(service, model, embeddings) as node:
        identity = user_identity(UserId(new_id()), roles=["user"], permissions=[MODELS_USE])
        yield Respond(node.context(identity=identity), model, embeddings)
