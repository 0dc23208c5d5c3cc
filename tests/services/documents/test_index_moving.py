"""Changing the embedding model: a second index beside the first, exchanged when it is whole, while people go on."""

import asyncio
from contextlib import asynccontextmanager
from typing import Any

import pytest

from fireside.contracts import embedding_models, vectors
from fireside.contracts.base import Nothing
from fireside.contracts.jobs import JobRef, JobView, jobs_of
from fireside.core.errors import (
    ConflictError,
    FiresideError,
    ForbiddenError,
    InvalidInputError,
    NotFoundError,
    UnavailableError,
)
from fireside.testing.durable import eventually
from tests.services.documents.conftest import Knowledge

JOBS = jobs_of("documents")
FILES: dict[str, bytes | str] = {
    f"{number}.md": f"# Page {number}\n\nThe room {number} has a lamp." for number in range(12)
}


@pytest.fixture
async def knowledge(knowledge: Knowledge) -> Knowledge:
    """Twelve documents in the index of one model, and two more models."""
    knowledge.embeddings.others = ["model-2", "wide"]
    await knowledge.ingest(knowledge.editor, dict(FILES))
    return knowledge


async def use(knowledge: Knowledge, model: str) -> JobRef:
    wanted = embedding_models.UseEmbeddingModel(model=model)
    return JobRef(id=(await knowledge.as_role("admin").call(embedding_models.USE_MODEL, wanted)).job_id)


async def shown(knowledge: Knowledge) -> embedding_models.EmbeddingModelsView:
    return await knowledge.as_role("admin").call(embedding_models.LIST_MODELS, Nothing())


async def ended(knowledge: Knowledge, job: JobRef) -> JobView:
    return await knowledge.ended(knowledge.as_role("admin"), job.id)


async def half_filled(knowledge: Knowledge, model: str, *, documents_in_it: int = 3) -> JobRef:
    """A move that waits with some documents in the new index."""
    turns = knowledge.embeddings.turns = asyncio.Semaphore(documents_in_it)
    job = await use(knowledge, model)

    async def stands() -> bool | None:
        there = len(knowledge.vectors.generations.get(model, ())) == documents_in_it
        return True if there and turns.locked() else None

    await eventually(stands)
    return job


def go_on(knowledge: Knowledge) -> None:
    for _ in range(10_000):
        assert knowledge.embeddings.turns is not None
        knowledge.embeddings.turns.release()


@pytest.mark.requirement("I12")
async def test_the_model_is_exchanged_and_the_old_index_goes(knowledge: Knowledge) -> None:
    before = await shown(knowledge)
    assert (before.serving, before.job) == ("model-1", None)

    job = await ended(knowledge, await use(knowledge, "wide"))

    after = await shown(knowledge)
    assert (job.state, job.percent, job.result) == (
        "succeeded",
        100.0,
        {"model": "wide", "generation": "wide", "documents": 12, "passages": 12, "in_index": 12},
    )
    assert (after.serving, after.wanted) == ("wide", "wide")
    assert {item.name: (item.index, item.passages) for item in after.items} == {
        "model-1": ("none", 0),
        "model-2": ("none", 0),
        "wide": ("serving", 12),
    }
    assert list(knowledge.vectors.generations) == ["wide"]
    assert (await knowledge.search(knowledge.user, "lamp in room 7")).degraded == ()
    assert (await knowledge.paths(knowledge.user, "room 7"))[0] == "7.md"


async def test_going_back_is_the_same_job(knowledge: Knowledge) -> None:
    there = await use(knowledge, "model-2")
    assert (await ended(knowledge, there)).state == "succeeded"

    back = await use(knowledge, "model-1")

    assert back == there
    assert (await ended(knowledge, back)).result is not None
    assert (await shown(knowledge)).serving == "model-1"
    assert len(knowledge.vectors.chunks("model-1")) == 12


@pytest.mark.requirement("I12")
async def test_searches_under_load_neither_fail_nor_come_back_empty(knowledge: Knowledge) -> None:
    searches = Searches(knowledge)
    async with searches.going_on(8):
        for model in ("wide", "model-2", "model-1"):
            assert (await ended(knowledge, await use(knowledge, model))).state == "succeeded"
            await searches.some_more()

    assert searches.failures == []
    assert searches.fewest > 0
    assert searches.degraded == set()
    assert {search.generation for search in knowledge.vectors.searches} == {"model-1", "wide", "model-2"}


async def test_the_old_index_answers_until_the_new_one_is_whole(knowledge: Knowledge) -> None:
    job = await half_filled(knowledge, "model-2")

    view = await shown(knowledge)
    assert (view.serving, view.wanted) == ("model-1", "model-2")
    assert [(item.index, item.passages) for item in view.items] == [("serving", 12), ("filling", 3), ("none", 0)]
    assert view.job is not None
    assert 0 < view.job.percent < 90
    assert knowledge.vectors.active == "model-1"
    go_on(knowledge)
    assert (await ended(knowledge, job)).state == "succeeded"


@pytest.mark.requirement("I12")
async def test_what_is_added_changed_and_deleted_meanwhile_is_so_in_both(knowledge: Knowledge) -> None:
    job = await half_filled(knowledge, "model-2")
    gone = {item.path: item.id for item in (await knowledge.page(knowledge.editor, limit=50)).items}
    added = await knowledge.add(knowledge.editor, {"new.md": "# New\n\nA telescope.", "0.md": "# Page 0\n\nA piano."})
    for path in ("1.md", "11.md"):
        await knowledge.delete(knowledge.editor, gone[path])

    go_on(knowledge)
    assert (await knowledge.ended(knowledge.editor, added.job_id)).state == "succeeded"
    result = (await ended(knowledge, job)).result

    assert result is not None
    assert (result["documents"], result["passages"]) == (11, 11)
    await chunks_become(knowledge, "model-2", 11)
    assert await knowledge.paths(knowledge.user, "telescope", mode="vector") != []
    assert (await knowledge.paths(knowledge.user, "telescope"))[0] == "new.md"
    assert (await knowledge.paths(knowledge.user, "piano"))[0] == "0.md"
    assert "1.md" not in await knowledge.paths(knowledge.user, "page 1")


async def chunks_become(knowledge: Knowledge, generation: str, count: int) -> None:
    async def look() -> bool | None:
        return True if len(knowledge.vectors.chunks(generation)) == count else None

    await eventually(look)


async def test_who_wrote_before_there_were_two_indexes_and_ends_after_the_exchange_writes_again(
    knowledge: Knowledge,
) -> None:
    knowledge.vectors.holds_back = "submarine"
    added = await knowledge.add(knowledge.editor, {"late.md": "# Late\n\nA submarine."})

    async def is_written() -> bool | None:
        return True if len(knowledge.vectors.chunks("model-1")) == 13 else None

    await eventually(is_written)
    assert (await ended(knowledge, await use(knowledge, "model-2"))).state == "succeeded"
    assert len(knowledge.vectors.chunks("model-2")) == 12
    knowledge.vectors.go_on.set()

    assert (await knowledge.ended(knowledge.editor, added.job_id)).state == "succeeded"
    assert (await knowledge.paths(knowledge.user, "submarine"))[0] == "late.md"
    assert len(knowledge.vectors.chunks("model-2")) == 13


@pytest.mark.requirement("I12")
async def test_a_cancelled_move_leaves_everything_as_it_was(knowledge: Knowledge) -> None:
    job = await half_filled(knowledge, "model-2")

    await knowledge.as_role("admin").call(JOBS.cancel, job)
    go_on(knowledge)

    assert (await ended(knowledge, job)).state == "cancelled"
    assert list(knowledge.vectors.generations) == ["model-1"]
    assert (await shown(knowledge)).serving == "model-1"
    assert (await knowledge.paths(knowledge.user, "room 7"))[0] == "7.md"


@pytest.mark.requirement("I12")
async def test_a_failure_says_why_and_leaves_the_old_index_in_service(knowledge: Knowledge) -> None:
    knowledge.embeddings.failing["model-2"] = InvalidInputError("the model's server refuses the request: no such model")

    job = await ended(knowledge, await use(knowledge, "model-2"))

    assert job.state == "failed"
    assert job.error is not None
    assert "no such model" in job.error["message"]
    assert list(knowledge.vectors.generations) == ["model-1"]
    assert (await knowledge.search(knowledge.user, "lamp")).degraded == ()


async def test_a_new_model_that_fails_does_not_keep_documents_from_being_indexed(knowledge: Knowledge) -> None:
    await half_filled(knowledge, "model-2")
    knowledge.embeddings.failing["model-2"] = UnavailableError("out of order for a while")

    go_on(knowledge)
    await knowledge.ingest(knowledge.editor, {"new.md": "# New\n\nA telescope."})
    assert (await knowledge.paths(knowledge.user, "telescope"))[0] == "new.md"
    assert len(knowledge.vectors.chunks("model-2")) == 3
    knowledge.embeddings.failing.clear()

    async def succeeded() -> bool | None:
        job = await ended(knowledge, await use(knowledge, "model-2"))  # it may have been given up meanwhile
        return True if job.state == "succeeded" else None

    assert await eventually(succeeded)
    assert len(knowledge.vectors.chunks("model-2")) == 13


async def test_one_move_at_a_time(knowledge: Knowledge) -> None:
    job = await half_filled(knowledge, "model-2")

    assert await use(knowledge, "model-2") == job
    with pytest.raises(ConflictError, match="model-2"):
        await use(knowledge, "wide")
    go_on(knowledge)
    assert (await ended(knowledge, job)).state == "succeeded"
    assert (await shown(knowledge)).serving == "model-2"


async def test_the_present_model_is_looked_through_and_mended(knowledge: Knowledge) -> None:
    lost = knowledge.vectors.generations["model-1"].popitem()[1]

    job = await ended(knowledge, await use(knowledge, "model-1"))

    assert job.result is not None
    assert job.result["in_index"] == 12
    assert lost.chunk_id in knowledge.vectors.generations["model-1"]


async def test_unknown_models_are_refused_and_only_managers_of_models_choose(knowledge: Knowledge) -> None:
    with pytest.raises(NotFoundError, match="wide"):
        await use(knowledge, "absent")
    for call in (
        knowledge.editor.call(embedding_models.USE_MODEL, embedding_models.UseEmbeddingModel(model="wide")),
        knowledge.editor.call(embedding_models.LIST_MODELS, Nothing()),
    ):
        with pytest.raises(ForbiddenError):
            await call


@pytest.mark.parametrize("contract", [vectors.SearchChunks, vectors.UpsertChunks])
def test_vectors_do_not_travel_without_the_name_of_their_model(contract: Any) -> None:
    nowhere = {"chunk_id": id_of(1), "document_id": id_of(2), "collection_id": id_of(3), "text": "x"}
    asked = {"scope": {"collection_ids": ()}, "chunks": ({**nowhere, "vectors": b"\0" * 8},), "vector": b"\0" * 8}
    fields = {name: value for name, value in asked.items() if name in contract.model_fields}

    assert contract(**fields, generation="model-1")
    with pytest.raises(ValueError, match="the generation of"):
        contract(**fields)


def id_of(number: int) -> str:
    return f"00000000-0000-0000-0000-{number:012}"


class Searches:
    """People who go on searching, and what they met."""

    def __init__(self, knowledge: Knowledge) -> None:
        self._knowledge = knowledge
        self.failures: list[FiresideError] = []
        self.fewest = 1000
        self.degraded: set[str] = set()
        self.done = 0

    @asynccontextmanager
    async def going_on(self, people: int) -> Any:
        tasks = [asyncio.create_task(self._person(number)) for number in range(people)]
        yield
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def some_more(self) -> None:
        wanted = self.done + 20

        async def look() -> bool | None:
            return True if self.done >= wanted else None

        await eventually(look)

    async def _person(self, number: int) -> None:
        while True:
            try:
                found = await self._knowledge.search(self._knowledge.user, f"lamp of room {number}")
            except FiresideError as error:
                self.failures.append(error)
            else:
                self.fewest = min(self.fewest, len(found.items))
                self.degraded |= set(found.degraded)
            self.done += 1
            await asyncio.sleep(0)
