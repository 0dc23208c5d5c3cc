"""A server of embeddings that hangs, is busy, or away behind a proxy: what is to be embedded waits for it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from sqlalchemy import update

from fireside.adapters.embedder.openai_server import OpenAiServerEmbedder
from fireside.adapters.language_model.model_server import Endpoint
from fireside.adapters.language_model.openai_compatible import OpenAICompatibleServer
from fireside.contracts import embedding_models, embeddings
from fireside.contracts.jobs import JobRef, jobs_of
from fireside.core.errors import InvalidInputError, TooManyRequestsError, UnavailableError, UpstreamError
from fireside.core.ids import JobId
from fireside.ports.embedder import EmbedderFacts
from fireside.runtime.durable import Database, Job
from fireside.runtime.durable.tables import jobs
from fireside.runtime.mesh import Context, action
from fireside.services.documents.tables import documents
from fireside.services.documents.work import INDEX, MOVE, SWEEP
from fireside.testing.durable import eventually
from tests.adapters.upstream import Upstream, running_upstream
from tests.services.documents.conftest import MIGRATIONS, Knowledge, running_knowledge
from tests.services.documents.fakes import DIMENSIONS, FakeEmbeddings, FakeVectors, vector_of

PARAGRAPH = "The room has a lamp, and beside it stands a chair. " * 12
LONG = "\n\n".join(f"# Room {number}\n\n{PARAGRAPH}" for number in range(60))
JOBS = jobs_of("documents")
HANG_S = 0.1


class EmbeddingServer:
    """A real server that answers so many requests, and then says nothing, or the same error, until it is freed."""

    def __init__(self, answers: int, *, error: int | None) -> None:
        self.answers = answers
        self.error = error
        self.unheard = 0
        self.freed = asyncio.Event()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        asked = await request.json()
        if self.answers <= 0:
            self.unheard += 1
            if self.error is not None:
                return web.Response(status=self.error)
            await self.freed.wait()
        self.answers -= 1
        rows = [vector_of(text, salt="model-1") for text in asked["input"]]
        return web.json_response({"data": [{"index": place, "embedding": row} for place, row in enumerate(rows)]})


class RemoteEmbeddings(FakeEmbeddings):
    """Embeds with a server."""

    def __init__(self, url: str) -> None:
        super().__init__()

        async def locate() -> Endpoint:
            return Endpoint(url)

        facts = EmbedderFacts(name="model-1", version="", dimensions=DIMENSIONS, max_tokens=256, pooling="server")
        server = OpenAICompatibleServer(locate, read_timeout_s=HANG_S)
        self.embedder = OpenAiServerEmbedder(server, facts, model="m")

    @action(embeddings.EMBED)
    async def embed(self, context: Context, request: embeddings.EmbedTexts) -> embeddings.Embeddings:
        rows = await self.embedder.embed(request.texts)
        return embeddings.Embeddings(model="model-1", dimensions=DIMENSIONS, vectors=rows.tobytes())

    async def stop(self) -> None:
        await self.embedder.aclose()


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    async with running_upstream() as upstream:
        yield upstream


async def attempts_become(knowledge: Knowledge, job_id: JobId, count: int) -> None:
    async def tried() -> bool | None:
        view = await knowledge.as_role("admin").call(JOBS.get, JobRef(id=job_id))
        assert view.state in {"queued", "running"}, view
        return True if view.attempts >= count else None

    await eventually(tried)


async def tried_for_long(folder: Path, job: Job[Any]) -> None:
    """Have the jobs of a kind look as if they had been tried as often as any may fail."""
    database = Database(f"sqlite:///{folder}/documents.sqlite", service="documents", migrations=MIGRATIONS)
    await database.open()
    async with database.transaction() as unit:
        await unit.session.execute(update(jobs).where(jobs.c.kind == job.kind).values(attempts=job.max_attempts))
    await database.close()


@pytest.mark.requirement("I12")
@pytest.mark.parametrize("error", [None, 429, 502, 504])
async def test_what_a_server_left_half_filled_is_filled_when_it_answers_again(
    tmp_path: Path, upstream: Upstream, error: int | None
) -> None:
    server, vectors = EmbeddingServer(answers=1, error=error), FakeVectors()
    upstream.handler = server.answer
    remote = RemoteEmbeddings(upstream.base_url)
    async with running_knowledge(tmp_path, embeddings=remote, vectors=vectors, index_chunks_at_once=8) as knowledge:
        added = await knowledge.add(knowledge.editor, {"long.md": LONG})
        await attempts_become(knowledge, added.job_id, 1)
    await tried_for_long(tmp_path, INDEX)
    remote = RemoteEmbeddings(upstream.base_url)
    async with running_knowledge(tmp_path, embeddings=remote, vectors=vectors, index_chunks_at_once=8) as knowledge:
        await attempts_become(knowledge, added.job_id, INDEX.max_attempts + 1)
        half, unheard = len(vectors.chunks()), server.unheard
        server.answers = 10_000
        server.freed.set()

        assert (await knowledge.ended(knowledge.as_role("admin"), added.job_id)).state == "succeeded"
        (document,) = await knowledge.rows(documents)

    assert unheard > 1
    assert 0 < half < document.chunk_count
    assert (document.state, len(vectors.chunks())) == ("indexed", document.chunk_count)
    assert all(chunk.vectors for chunk in vectors.chunks())


@pytest.mark.requirement("I12")
async def test_a_move_to_another_model_waits_for_its_server(tmp_path: Path) -> None:
    embedding, vectors = FakeEmbeddings(), FakeVectors()
    embedding.others = ["model-2"]
    wanted = embedding_models.UseEmbeddingModel(model="model-2")
    async with running_knowledge(tmp_path, embeddings=embedding, vectors=vectors) as knowledge:
        await knowledge.ingest(knowledge.editor, {f"{number}.md": f"# {number}\n\nA lamp." for number in range(3)})
        embedding.failing["model-2"] = UnavailableError("it does not answer")
        job_id = (await knowledge.as_role("admin").call(embedding_models.USE_MODEL, wanted)).job_id
        await attempts_become(knowledge, job_id, 1)
    await tried_for_long(tmp_path, MOVE)
    async with running_knowledge(tmp_path, embeddings=embedding, vectors=vectors) as knowledge:
        await attempts_become(knowledge, job_id, MOVE.max_attempts + 1)
        embedding.failing.clear()

        assert (await knowledge.ended(knowledge.as_role("admin"), job_id)).state == "succeeded"
    assert len(vectors.chunks("model-2")) == 3


def test_only_what_is_away_is_waited_for_without_end() -> None:
    away, broken, wrong = UnavailableError("away"), UpstreamError("broken"), InvalidInputError("wrong")
    busy = TooManyRequestsError("busy", retry_after_s=1)

    assert [INDEX.gives_up(away, attempt=number) for number in (1, 100)] == [False, False]
    assert [INDEX.gives_up(busy, attempt=number) for number in (1, 100)] == [False, False]
    assert [INDEX.gives_up(broken, attempt=number) for number in (1, 100)] == [False, True]
    assert [INDEX.gives_up(ValueError(), attempt=number) for number in (1, 100)] == [False, True]
    assert INDEX.gives_up(wrong, attempt=1)
    assert SWEEP.gives_up(away, attempt=SWEEP.max_attempts)
