"""Searches that were asked before: answered from the cache, and never with more, or older, than a fresh search."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from fireside.adapters.cache.memory import MemoryCache
from fireside.adapters.model_engine.notes_file import NotesFile
from fireside.contracts import collections
from fireside.contracts.auth_facts import UserDeleted
from fireside.contracts.conversation import OwnerErased
from fireside.runtime.caching import Cache
from fireside.runtime.metrics import Metrics
from fireside.services.documents.settings import DocumentsSettings
from fireside.services.documents.tables import documents as document_table
from fireside.services.embeddings.settings import EmbeddingsSettings
from fireside.testing.mesh import eventually
from tests.services.documents.conftest import Knowledge, running_knowledge
from tests.services.documents.fakes import FakeVectors

LEAVE = "# Leave\n\nEveryone gets thirty days of leave."
MORE = "# More\n\nParents get ninety days of leave."


@pytest.fixture
def store() -> MemoryCache:
    return MemoryCache()


@pytest.fixture
async def knowledge(tmp_path: Path, store: MemoryCache) -> AsyncIterator[Knowledge]:
    async with running_knowledge(tmp_path, cache=Cache(store, metrics=Metrics())) as knowledge:
        yield knowledge


@pytest.mark.requirement("C7")
def test_finds_are_kept_for_an_hour_and_vectors_for_a_day_unless_set_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = DocumentsSettings().search_cache_ttl_s, EmbeddingsSettings().cache_ttl_s
    monkeypatch.setenv("FIRESIDE_DOCUMENTS_SEARCH_CACHE_TTL_S", "60")

    assert kept == (3600, 86_400)
    assert DocumentsSettings().search_cache_ttl_s == 60


async def test_the_index_is_asked_once_for_equal_searches_of_all_who_may_read_the_same(knowledge: Knowledge) -> None:
    await knowledge.ingest(knowledge.editor, {"leave.md": LEAVE})

    first, again = [await knowledge.search(knowledge.user, "thirty  days of leave") for _ in range(2)]
    assert len(knowledge.vectors.searches) == 1
    assert again == first
    await knowledge.search(knowledge.user, "ninety days")
    await knowledge.search(knowledge.user, "thirty days of leave", mode="keyword")

    assert len(knowledge.vectors.searches) == 3


@pytest.mark.requirement("C7")
async def test_what_was_found_is_kept_for_its_time(knowledge: Knowledge, store: MemoryCache) -> None:
    await knowledge.ingest(knowledge.editor, {"leave.md": LEAVE})
    await knowledge.search(knowledge.user, "leave")

    [key] = store.keys
    assert 3590 < (await store.look_up(key)).ttl_s <= 3600


async def test_no_text_enters_the_cache(knowledge: Knowledge, store: MemoryCache) -> None:
    await knowledge.ingest(knowledge.editor, {"leave.md": LEAVE})
    await knowledge.search(knowledge.user, "thirty days of leave")

    [key] = store.keys
    kept = key.encode() + (await store.get(key) or b"")
    assert b"candidates" in kept or b"items" in kept
    assert b"thirty" not in kept


@pytest.mark.requirement("D10")
async def test_a_new_document_is_found_by_a_search_that_was_asked_before(knowledge: Knowledge) -> None:
    await knowledge.ingest(knowledge.editor, {"leave.md": LEAVE})
    assert await knowledge.paths(knowledge.user, "days of leave") == ["leave.md"]

    await knowledge.ingest(knowledge.editor, {"more.md": MORE})

    assert set(await knowledge.paths(knowledge.user, "days of leave")) == {"leave.md", "more.md"}


@pytest.mark.requirement("D10")
async def test_a_changed_document_is_found_with_its_new_words(knowledge: Knowledge) -> None:
    await knowledge.ingest(knowledge.editor, {"leave.md": LEAVE})
    await knowledge.search(knowledge.user, "days of leave")

    await knowledge.ingest(knowledge.editor, {"leave.md": LEAVE.replace("thirty", "forty")})

    [item] = (await knowledge.search(knowledge.user, "days of leave")).items
    assert "forty" in item.text


@pytest.mark.requirement("D10")
async def test_a_deleted_document_is_not_found_from_the_moment_it_is_deleted(knowledge: Knowledge) -> None:
    [document] = await knowledge.ingest(knowledge.editor, {"leave.md": LEAVE})
    await knowledge.search(knowledge.user, "days of leave")
    asked = len(knowledge.vectors.searches)

    await knowledge.delete(knowledge.editor, document.id)

    assert await knowledge.paths(knowledge.user, "days of leave") == []
    assert len(knowledge.vectors.searches) == asked + 1


@pytest.mark.requirement("D10")
async def test_who_was_taken_out_of_a_collection_finds_nothing_in_it_any_more(knowledge: Knowledge) -> None:
    name = f"team {uuid4().hex}"
    await knowledge.editor.call(collections.CREATE, collections.CreateCollection(name=name))
    await knowledge.ingest(knowledge.editor, {"leave.md": LEAVE}, collection=name)
    guest = knowledge.as_role("user")
    member = {"collection": name, "user_id": guest.identity.require_user()}
    assert await knowledge.paths(guest, "days of leave") == []

    await knowledge.editor.call(collections.PUT_MEMBER, collections.PutMember(**member, role="reader"))
    assert await knowledge.paths(guest, "days of leave") == ["leave.md"]
    await knowledge.editor.call(collections.REMOVE_MEMBER, collections.MemberRef(**member))

    assert await knowledge.paths(guest, "days of leave") == []
    assert await knowledge.paths(knowledge.editor, "days of leave") == ["leave.md"]


def made(knowledge: Knowledge) -> list[str]:
    return [wanted.text for wanted in knowledge.vectors.searches]


def warm(metrics: Metrics) -> float:
    return metrics.registry.get_sample_value("fireside_cache_warmed_total", {"warmer": "search"}) or 0


@pytest.mark.requirement("C4")
async def test_searches_that_came_twice_are_made_again_at_the_next_start_and_find_what_is_there_then(
    tmp_path: Path,
) -> None:
    notes, index = NotesFile(tmp_path / "notes.json"), FakeVectors()
    async with running_knowledge(
        tmp_path, vectors=index, cache=Cache(MemoryCache(), metrics=Metrics()), notes=notes
    ) as one:
        await one.ingest(one.editor, {"leave.md": LEAVE})
        for words in ("days of leave", "days of leave", "once alone"):
            await one.search(one.user, words)
        reader = one.user.identity
    index.searches.clear()
    metrics = Metrics()
    cache = Cache(MemoryCache(), metrics=metrics)

    async with running_knowledge(tmp_path, vectors=index, cache=cache, notes=notes) as two:
        await eventually(lambda: warm(metrics) == 1)
        assert made(two) == ["days of leave"]
        user = two.node.context(identity=reader)
        assert await two.paths(user, "days of leave") == ["leave.md"]
        assert made(two) == ["days of leave"]

        await two.ingest(two.editor, {"more.md": MORE})
        assert set(await two.paths(user, "days of leave")) == {"leave.md", "more.md"}


@pytest.mark.requirement("C4")
async def test_searches_that_came_twice_are_made_again_when_the_cache_was_emptied(
    knowledge: Knowledge, store: MemoryCache
) -> None:
    await knowledge.ingest(knowledge.editor, {"leave.md": LEAVE})
    for words in ("days of leave", "days of leave", "once alone"):
        await knowledge.search(knowledge.user, words)

    await store.clear()

    await eventually(lambda: len(made(knowledge)) == 3)
    assert made(knowledge) == ["days of leave", "once alone", "days of leave"]
    await knowledge.search(knowledge.user, "days of leave")
    assert len(made(knowledge)) == 3


async def test_searches_in_a_generation_that_is_gone_are_made_no_more_and_keep_nothing_from_being_made(
    knowledge: Knowledge, store: MemoryCache
) -> None:
    await knowledge.ingest(knowledge.editor, {"leave.md": LEAVE})
    for words in ("days of leave", "days of leave", "days of leave"):
        await knowledge.search(knowledge.user, words)
    for _ in range(2):
        await knowledge.search(knowledge.user, "thirty", mode="keyword")
    index = knowledge.vectors
    index.generations["new"] = index.generations.pop(index.active or "")
    index.active = "new"
    index.searches.clear()

    for _ in range(2):
        await store.clear()
        await eventually(lambda: made(knowledge)[-1:] == ["thirty"])
        index.searches.append(index.searches[-1].model_copy(update={"text": "flushed"}))

    assert made(knowledge) == ["days of leave", "thirty", "flushed", "thirty", "flushed"]


async def search_twice_each(knowledge: Knowledge) -> None:
    await knowledge.ingest(knowledge.editor, {"leave.md": LEAVE})
    for who in (knowledge.user, knowledge.editor):
        for _ in range(2):
            await knowledge.search(who, f"days of leave of {'a user' if who is knowledge.user else 'an editor'}")


@pytest.mark.requirement("D9")
async def test_searches_of_a_user_whose_account_is_gone_are_remembered_by_no_node(
    knowledge: Knowledge, store: MemoryCache
) -> None:
    await search_twice_each(knowledge)
    await knowledge.node.context().broadcast(OwnerErased(owner_id=knowledge.user.identity.require_user()))
    knowledge.vectors.searches.clear()

    await store.clear()

    await eventually(lambda: len(made(knowledge)) > 0)
    assert made(knowledge) == ["days of leave of an editor"]


async def test_searches_of_a_user_whose_account_is_gone_are_remembered_no_more(
    knowledge: Knowledge, store: MemoryCache
) -> None:
    await search_twice_each(knowledge)
    await knowledge.ingest(knowledge.user, {"mine.md": MORE}, collection="personal")
    async with knowledge.service.database.transaction() as unit:
        unit.emit(UserDeleted(user_id=knowledge.user.identity.require_user()))
    await knowledge.rows_become(document_table, 1)
    knowledge.vectors.searches.clear()

    await store.clear()

    await eventually(lambda: len(made(knowledge)) > 0)
    assert made(knowledge) == ["days of leave of an editor"]
