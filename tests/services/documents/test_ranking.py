"""How passages are put in order."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from fireside.contracts.vectors import Candidate
from fireside.core.ids import ChunkId, DocumentId
from fireside.services.documents.fusion import KEYWORD_WEIGHT, fuse_scores
from fireside.services.documents.model import SHARED_ID, Document, Found, StoredChunk, Upload
from fireside.services.documents.ranking import rank_passages

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def candidate(number: int, similarity: float | None, keyword: float = 0.0, *, document: str = "") -> Candidate:
    """A passage of the named document, or of one of its own."""
    return Candidate(
        chunk_id=ChunkId(UUID(int=number)),
        document_id=document_id(document or f"own-{number:03}"),
        similarity=similarity,
        keyword=keyword,
    )


def document_id(name: str) -> DocumentId:
    return DocumentId(UUID(bytes=name.encode()[:16].ljust(16, b"\0")))


def found(item: Candidate) -> Found:
    path = item.document_id.bytes.rstrip(b"\0").decode()
    upload = Upload(UUID(int=1), None, path, "text/plain", "d", 1, None, None, None, None, None, NOW)
    number = item.chunk_id.int
    return Found(
        chunk=StoredChunk(item.chunk_id, item.document_id, 1, number, number, number + 1, "x", None, None),
        document=Document.of(upload, SHARED_ID, document_id=item.document_id),
    )


def order(*candidates: Candidate) -> list[int]:
    ranked = rank_passages("q", candidates, {item.chunk_id: found(item) for item in candidates})
    return [item.chunk_id.int for item in ranked]


def test_the_more_similar_passage_comes_first() -> None:
    assert order(candidate(1, 0.2), candidate(2, 0.6), candidate(3, 0.4)) == [2, 3, 1]


def test_words_in_common_decide_between_passages_of_like_meaning() -> None:
    assert order(candidate(1, 0.50, keyword=1.0), candidate(2, 0.49, keyword=4.0)) == [2, 1]


def test_a_few_common_words_do_not_outweigh_meaning() -> None:
    assert order(candidate(1, 0.60), candidate(2, 0.30, keyword=4.0)) == [1, 2]


def test_without_vectors_words_alone_decide() -> None:
    assert order(candidate(1, None, 1.0), candidate(2, None, 3.0), candidate(3, None, 2.0)) == [2, 3, 1]


def test_a_passage_without_vector_is_as_similar_as_the_least_similar() -> None:
    relevance = fuse_scores([candidate(1, 0.6), candidate(2, 0.2), candidate(3, None, keyword=2.0)])

    assert relevance[ChunkId(UUID(int=3))] == pytest.approx(0.2 + 2 * KEYWORD_WEIGHT)


def test_a_document_with_several_good_passages_comes_before_one_lucky_passage() -> None:
    others = [candidate(100 + n, 0.1) for n in range(60)]
    several = [candidate(1, 0.50, document="several"), candidate(2, 0.48, document="several")]

    assert order(candidate(3, 0.52), *several, *others)[:3] == [1, 2, 3]


def test_passages_no_better_than_the_average_do_not_lift_their_document() -> None:
    many_poor = [candidate(100 + n, 0.1, document="poor") for n in range(60)]

    assert order(candidate(1, 0.30), candidate(2, 0.29, document="poor"), *many_poor)[:2] == [1, 2]


def test_equal_scores_keep_the_order_of_path_and_place() -> None:
    same = [candidate(n, 0.5, document=name) for n, name in ((4, "b"), (3, "b"), (2, "a"), (9, "a"))]

    assert order(*same) == [2, 9, 3, 4]
    assert order(*reversed(same)) == [2, 9, 3, 4]


def test_each_place_is_explained_by_its_stages() -> None:
    items = [candidate(1, 0.5, 2.0, document="a"), candidate(2, 0.4, document="a"), candidate(3, None, 1.0)]

    ranked = rank_passages("q", items, {item.chunk_id: found(item) for item in items})

    for item in ranked:
        parts = item.stages.get("similarity", 0.4) + KEYWORD_WEIGHT * item.stages["keyword"] + item.stages["support"]
        assert item.score == pytest.approx(parts)
    assert "similarity" not in next(item.stages for item in ranked if item.chunk_id.int == 3)


def test_no_candidates_give_no_passages() -> None:
    assert order() == []
