"""Searches that were asked before: answered from the cache, and never with more, or older, than a fresh search."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from fireside.adapters.cache.memory import MemoryCache
from fireside.contracts import collections
from fireside.runtime.caching import Cache
from fireside.runtime.metrics import Metrics
from fireside.services.documents.settings import DocumentsSettings
from fireside.services.embeddings.settings import EmbeddingsSettings
from tests.services.documents.conftest import Knowledge, running_knowledge

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
