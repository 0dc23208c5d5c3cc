"""Stand-ins for think, act and respond that do what a test says."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from fireside.contracts import act, respond, think
from fireside.contracts.act import Evidence, GatherEvidence
from fireside.contracts.answer import AnswerEvent, Final, Passage, Quality, Source, Sources, Step, Token, Usage
from fireside.contracts.respond import GenerateAnswer
from fireside.contracts.think import Analysis, AnalyzeQuestion
from fireside.core.errors import FiresideError
from fireside.core.ids import ChunkId, DocumentId
from fireside.runtime.context import Context
from fireside.runtime.mesh import Service, action, stream_action

PASSAGE = Passage(
    document_id=DocumentId(UUID(int=1)),
    chunk_id=ChunkId(UUID(int=2)),
    path="handbook/leave.md",
    title="Leave",
    heading="Holidays",
    text="Everyone has thirty days of holiday a year.",
    score=0.9,
    stages={"fused": 0.9},
)


class FakeThink(Service):
    name = "think"

    def __init__(self) -> None:
        self.asked: list[AnalyzeQuestion] = []
        self.error: FiresideError | None = None
        self.needs_documents = True

    @action(think.ANALYZE)
    async def analyze(self, context: Context, request: AnalyzeQuestion) -> Analysis:
        self.asked.append(request)
        if self.error:
            raise self.error
        mode = "company" if request.mode == "auto" else request.mode
        return Analysis(
            intent="documents",
            language="en",
            mode=mode,
            standalone_query=request.question,
            search_queries=(request.question,),
            needs_documents=self.needs_documents,
        )


class FakeAct(Service):
    name = "act"

    def __init__(self) -> None:
        self.asked: list[GatherEvidence] = []
        self.error: FiresideError | None = None
        self.degraded: tuple[str, ...] = ()

    @action(act.RUN)
    async def run(self, context: Context, request: GatherEvidence) -> Evidence:
        self.asked.append(request)
        if self.error:
            raise self.error
        return Evidence(passages=(PASSAGE,), degraded=self.degraded)


@dataclass
class Script:
    """What respond says: the words, waiting after `hold_after` of them until `go_on` is set, then maybe an error."""

    words: Sequence[str] = ("Thirty ", "days ", "[1].")
    hold_after: int | None = None
    error: Exception | None = None
    without_final: bool = False
    forgets_notices: bool = False
    final_content: str | None = None
    reached_hold: asyncio.Event = field(default_factory=asyncio.Event)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    closed: asyncio.Event = field(default_factory=asyncio.Event)


class FakeRespond(Service):
    name = "respond"

    def __init__(self) -> None:
        self.asked: list[GenerateAnswer] = []
        self.script = Script()

    @stream_action(respond.GENERATE)
    async def generate(self, context: Context, request: GenerateAnswer) -> AsyncIterator[AnswerEvent]:
        self.asked.append(request)
        script = self.script
        try:
            async for event in self._events(request, script):
                yield event
        finally:
            script.closed.set()

    async def _events(self, request: GenerateAnswer, script: Script) -> AsyncIterator[AnswerEvent]:
        sources = tuple(
            Source(n=n, **passage.model_dump(exclude={"stages"}))
            for n, passage in enumerate(request.evidence.passages, 1)
        )
        yield Step(stage="respond", name="write", status="started")
        yield Sources(sources=sources)
        for number, word in enumerate(script.words):
            if script.hold_after == number:
                script.reached_hold.set()
                await script.go_on.wait()
            yield Token(text=word)
        if script.hold_after == len(script.words):
            script.reached_hold.set()
            await script.go_on.wait()
        if script.error:
            raise script.error
        yield Step(stage="respond", name="write", status="done", elapsed_ms=1.0)
        yield Quality(grounded="supported")
        if not script.without_final:
            yield Final(
                content="".join(script.words) if script.final_content is None else script.final_content,
                mode=request.analysis.mode,
                model="scripted",
                confidence=0.8,
                confidence_reasons=("every claim is supported",),
                sources=sources,
                usage=Usage(prompt_tokens=10, completion_tokens=3, total_tokens=13),
                degraded=() if script.forgets_notices else request.evidence.degraded,
            )
