"""Searching: modes, limits, and what is said when a part is missing."""

import pytest

from fireside.contracts import documents
from fireside.core.errors import UnavailableError
from fireside.services.documents.errors import EmptyQueryError
from fireside.services.documents.searching import BEING_MOVED, NO_MODEL, STILL_LOADING
from tests.services.documents.conftest import Knowledge

FILES: dict[str, bytes | str] = {
    "hr/leave.md": "# Leave\n\nEveryone gets thirty days of leave.",
    "hr/salary.md": "# Salary\n\nMoney arrives on the last day of the month.",
    "it/laptops.md": "# Laptops\n\nAsk the help desk for a laptop.",
}


async def test_a_passage_comes_with_everything_to_show_and_cite_it(knowledge: Knowledge) -> None:
    (document,) = await knowledge.ingest(knowledge.editor, {"hr/leave.md": FILES["hr/leave.md"]})

    (item,) = (await knowledge.search(knowledge.user, "thirty days of leave")).items

    assert (item.document_id, item.path, item.title, item.heading) == (document.id, "hr/leave.md", "Leave", "Leave")
    assert (item.collection_id, item.url, item.page) == (document.collection_id, None, None)
    assert item.updated_at == document.updated_at
    assert "thirty days" in item.text
    assert item.score > 0
    assert item.stages


async def test_a_passage_is_a_range_of_the_text_of_its_document(knowledge: Knowledge) -> None:
    await knowledge.ingest(knowledge.editor, FILES)

    for item in (await knowledge.search(knowledge.user, "leave salary laptop day")).items:
        content = await knowledge.user.call(documents.CONTENT, documents.DocumentRef(document_id=item.document_id))
        assert content.text[item.start : item.end] == item.text


@pytest.mark.parametrize("query", ["", "   ", "\n\t"])
async def test_a_blank_query_is_refused(knowledge: Knowledge, query: str) -> None:
    with pytest.raises(EmptyQueryError):
        await knowledge.search(knowledge.user, query)


async def test_each_mode_asks_the_index_for_what_it_says(knowledge: Knowledge) -> None:
    await knowledge.ingest(knowledge.editor, FILES)

    for mode, has_words, has_vector in (("hybrid", True, True), ("vector", False, True), ("keyword", True, False)):
        found = await knowledge.search(knowledge.user, "leave", mode=mode)
        asked = knowledge.vectors.searches[-1]
        assert (bool(asked.text), bool(asked.vector)) == (has_words, has_vector)
        assert found.items[0].path == "hr/leave.md"
        assert found.degraded == ()


@pytest.mark.parametrize("mode", ["hybrid", "vector"])
async def test_without_the_embedding_model_keywords_are_searched_and_that_is_said(
    knowledge: Knowledge, mode: str
) -> None:
    await knowledge.ingest(knowledge.editor, FILES)
    knowledge.embeddings.broken = True

    found = await knowledge.search(knowledge.user, "laptop", mode=mode)

    assert found.degraded == (NO_MODEL,)
    assert found.items[0].path == "it/laptops.md"


async def test_a_model_that_is_still_loading_is_not_waited_for(knowledge: Knowledge) -> None:
    await knowledge.ingest(knowledge.editor, FILES)
    knowledge.embeddings.loading = True

    found = await knowledge.search(knowledge.user, "laptop")

    assert found.degraded == (STILL_LOADING,)
    assert found.items[0].path == "it/laptops.md"


async def test_an_index_of_another_model_is_searched_by_keywords(knowledge: Knowledge) -> None:
    await knowledge.ingest(knowledge.editor, FILES)
    knowledge.embeddings.model = "model-2"

    found = await knowledge.search(knowledge.user, "laptop")

    assert found.degraded == (BEING_MOVED,)
    assert found.items[0].path == "it/laptops.md"


async def test_without_the_index_the_search_says_that_it_is_unavailable(knowledge: Knowledge) -> None:
    knowledge.vectors.broken = True

    with pytest.raises(UnavailableError):
        await knowledge.search(knowledge.user, "laptop", mode="keyword")


async def test_an_installation_without_documents_finds_nothing(knowledge: Knowledge) -> None:
    found = await knowledge.search(knowledge.user, "anything")

    assert (found.items, found.degraded) == ((), ())


async def test_no_more_passages_than_asked_for_come_back(knowledge: Knowledge) -> None:
    await knowledge.ingest(knowledge.editor, FILES)

    assert len((await knowledge.search(knowledge.user, "leave salary laptop", limit=2)).items) == 2


async def test_a_search_can_be_narrowed_to_folders_and_collections(knowledge: Knowledge) -> None:
    await knowledge.ingest(knowledge.editor, FILES)
    await knowledge.ingest(knowledge.editor, {"hr/leave.md": "# My leave\n\nIn May."}, collection="personal")

    everything = await knowledge.search(knowledge.editor, "leave salary laptop", collections=("shared", "shared"))
    assert {item.path for item in everything.items} == set(FILES)
    in_folder = await knowledge.search(knowledge.editor, "leave salary laptop", collections=("shared",), path="hr/")
    assert {item.path for item in in_folder.items} == {"hr/leave.md", "hr/salary.md"}
    mine = await knowledge.search(knowledge.editor, "leave salary laptop", collections=("personal",))
    assert {item.title for item in mine.items} == {"My leave"}
    assert (await knowledge.search(knowledge.editor, "leave", path="100%_")).items == ()
