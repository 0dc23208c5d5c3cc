"""How act gathers evidence: searches at once, merged, honest about what failed."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from fireside.contracts.act import RUN, Evidence, GatherEvidence
from fireside.contracts.documents import SEARCH, FoundPassage, Passages, SearchDocuments
from fireside.contracts.permissions import DOCUMENTS_READ
from fireside.contracts.think import Analysis
from fireside.core.clock import SystemClock
from fireside.core.errors import ForbiddenError, UnavailableError
from fireside.core.identity import user_identity
from fireside.core.ids import ChunkId, CollectionId, DocumentId, UserId, new_id
from fireside.runtime.mesh import Context, Node, Service, action
from fireside.services.act.service import ActService
from fireside.services.act.settings import ActSettings
from fireside.testing.mesh import local_node


def found(name: str) -> FoundPassage:
    return FoundPassage(
        document_id=DocumentId(new_id()),
        chunk_id=ChunkId(new_id()),
        collection_id=CollectionId(new_id()),
        path=f"{name}.md",
        title=name,
        text=f"Text of {name}.",
        score=0.5,
    )


LEAVE, TRAVEL, SICK = found("leave"), found("travel"), found("sick")


@dataclass
class Library:
    """What each query finds; queries that are not listed fail."""

    results: dict[str, tuple[FoundPassage, ...]] = field(default_factory=dict)
    degraded: tuple[str, ...] = ()


class FakeDocuments(Service):
    name = "documents"

    def __init__(self, library: Library) -> None:
        self.library = library
        self.requests: list[SearchDocuments] = []
        self.waiting = 0
        self.together = asyncio.Event()
        self.must_overlap = 0

    @action(SEARCH)
    async def search(self, context: Context, request: SearchDocuments) -> Passages:
        self.requests.append(request)
        self.waiting += 1
        if self.waiting >= self.must_overlap:
            self.together.set()
        await asyncio.wait_for(self.together.wait(), timeout=5)
        if request.query not in self.library.results:
            raise UnavailableError("the index is away")
        return Passages(items=self.library.results[request.query], degraded=self.library.degraded)


@pytest.fixture
def documents() -> FakeDocuments:
    return FakeDocuments(Library())


@pytest.fixture
async def node(documents: FakeDocuments) -> AsyncIterator[Node]:
    service = ActService(settings=ActSettings(), clock=SystemClock())
    async with local_node(service, documents) as node:
        yield node


async def gather(
    node: Node, *queries: str, permissions: tuple[str, ...] = (DOCUMENTS_READ,), limit: int = 10
) -> Evidence:
    analysis = Analysis(
        intent="documents",
        language="en",
        mode="company",
        standalone_query=queries[0] if queries else "x",
        search_queries=queries,
        needs_documents=bool(queries),
    )
    context = node.context(identity=user_identity(UserId(new_id()), roles=["user"], permissions=permissions))
    return await context.call(RUN, GatherEvidence(analysis=analysis, limit=limit))


async def test_passages_come_in_the_order_of_the_search(node: Node, documents: FakeDocuments) -> None:
    documents.library.results = {"leave": (LEAVE, SICK, TRAVEL)}

    evidence = await gather(node, "leave")

    assert [passage.title for passage in evidence.passages] == ["leave", "sick", "travel"]
    assert evidence.degraded == ()


async def test_what_several_searches_find_is_merged_and_counted_once(node: Node, documents: FakeDocuments) -> None:
    documents.library.results = {"a": (LEAVE, TRAVEL), "b": (TRAVEL, SICK)}

    evidence = await gather(node, "a", "b")

    assert [passage.title for passage in evidence.passages] == ["travel", "leave", "sick"]


async def test_the_first_for_a_part_of_the_question_beats_the_middling_for_all(
    node: Node, documents: FakeDocuments
) -> None:
    others = tuple(found(f"other {n}") for n in range(8))
    documents.library.results = {"whole": (*others[:6], LEAVE), "part one": (TRAVEL,), "part two": (SICK,)}

    evidence = await gather(node, "whole", "part one", "part two", limit=6)

    assert {"travel", "sick"} <= {passage.title for passage in evidence.passages}


async def test_searches_run_at_the_same_time(node: Node, documents: FakeDocuments) -> None:
    documents.must_overlap = 3
    documents.library.results = {"a": (LEAVE,), "b": (TRAVEL,), "c": (SICK,)}

    evidence = await gather(node, "a", "b", "c")

    assert len(evidence.passages) == 3


async def test_a_search_that_fails_beside_one_that_answers_is_reported(node: Node, documents: FakeDocuments) -> None:
    documents.library.results = {"a": (LEAVE,)}

    evidence = await gather(node, "a", "broken")

    assert [passage.title for passage in evidence.passages] == ["leave"]
    assert evidence.degraded == ("One of several searches for this question failed.",)
    assert sorted(step.status for step in evidence.steps) == ["done", "failed"]
    assert all(step.elapsed_ms is not None for step in evidence.steps)


async def test_when_every_search_fails_the_failure_is_the_callers(node: Node) -> None:
    with pytest.raises(UnavailableError):
        await gather(node, "broken")


async def test_a_caller_who_may_not_read_documents_is_refused(node: Node) -> None:
    with pytest.raises(ForbiddenError):
        await gather(node, "a", "b", permissions=())


async def test_notices_of_searches_are_passed_on_once(node: Node, documents: FakeDocuments) -> None:
    documents.library = Library({"a": (LEAVE,), "b": (TRAVEL,)}, ("Keyword search only.",))

    assert (await gather(node, "a", "b")).degraded == ("Keyword search only.",)


async def test_no_more_passages_come_than_were_asked_for(node: Node, documents: FakeDocuments) -> None:
    documents.library.results = {"a": (LEAVE, TRAVEL, SICK)}

    assert len((await gather(node, "a", limit=2)).passages) == 2


async def test_a_question_that_needs_no_documents_is_not_searched_for(node: Node, documents: FakeDocuments) -> None:
    evidence = await gather(node)

    assert evidence == Evidence()
    assert documents.requests == []


async def test_a_very_long_question_is_shortened_for_the_search(node: Node, documents: FakeDocuments) -> None:
    documents.library.results = {"x" * 2000: (LEAVE,)}

    assert len((await gather(node, "x" * 9000)).passages) == 1
