"""What every vector index does. Inherit, and provide the fixture `index`: open, empty, closed afterwards.

Indexes that live in files also inherit `DurableVectorIndexConformance`, with the fixture `reopen`, which closes the
index that it is given and opens the same files again.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable
from uuid import UUID

import numpy as np
import pytest

from fireside.ports.vector_index import (
    IndexQuery,
    IndexState,
    IndexUnavailableError,
    Scope,
    VectorIndex,
    VectorShapeError,
)
from fireside.testing.conformance.index_generations import GenerationsConformance
from fireside.testing.conformance.vector_points import (
    EVERYWHERE,
    MINE,
    YOURS,
    D,
    by_meaning,
    by_words,
    direction,
    idf,
    numbers,
    point,
    words,
)


class VectorIndexConformance(GenerationsConformance):
    """Behaviour of `VectorIndex`."""

    @pytest.fixture(autouse=True)
    async def generation(self, index: VectorIndex) -> None:
        await index.create("first", dimensions=D)
        await index.activate("first")

    async def test_a_chunk_is_as_close_as_its_closest_window(self, index: VectorIndex) -> None:
        await index.upsert([point(1, direction(0), direction(1)), point(2, direction(1, 2)), point(3, direction(3))])

        hits = await by_meaning(index, direction(1))

        assert [hit.id.int for hit in hits] == [1, 2, 3]
        assert [hit.similarity for hit in hits] == pytest.approx([1.0, math.sqrt(0.5), 0.0], abs=2e-3)
        assert [hit.bm25 for hit in hits] == [0.0, 0.0, 0.0]

    async def test_words_are_weighed_by_their_rarity(self, index: VectorIndex) -> None:
        await index.upsert([point(1, terms={7: 1.0, 8: 2.0}), point(2, terms={7: 0.5}), point(3, terms={9: 1.0})])

        found = await by_words(index, {7: 1.0, 8: 2.0})

        common, rare = idf(points=3, with_term=2), idf(points=3, with_term=1)
        assert found == pytest.approx({1: common + 4 * rare, 2: 0.5 * common}, rel=1e-3)

    async def test_hits_of_one_ranking_carry_the_score_of_the_other(self, index: VectorIndex) -> None:
        await index.upsert([point(1, direction(0), terms={5: 1.0}), point(2, direction(0, 1), terms={6: 1.0})])

        hits = await index.search(IndexQuery(EVERYWHERE, vector=direction(0), words=words({6: 1.0}), limit=1))

        scores = {hit.id.int: (hit.similarity, hit.bm25) for hit in hits}
        assert scores[1] == (pytest.approx(1.0, abs=2e-3), 0.0)
        assert scores[2] == pytest.approx((math.sqrt(0.5), idf(points=2, with_term=1)), rel=2e-3)

    async def test_the_limit_bounds_each_ranking(self, index: VectorIndex) -> None:
        await index.upsert([point(n, direction(0, n % 7 + 1), terms={n: 1.0, 99: 0.01 * n}) for n in range(1, 31)])

        hits = await index.search(IndexQuery(EVERYWHERE, vector=direction(0), words=words({99: 1.0}), limit=5))

        assert 5 <= len(hits) <= 10
        assert {26, 27, 28, 29, 30} <= numbers(hits)

    async def test_documents_are_named(self, index: VectorIndex) -> None:
        await index.upsert([point(1, direction(0), document=4)])

        assert [hit.document_id for hit in await by_meaning(index, direction(0))] == [UUID(int=1004)]

    async def test_a_chunk_without_vectors_is_found_by_its_words_only(self, index: VectorIndex) -> None:
        await index.upsert([point(1, terms={3: 1.0}), point(2, direction(0), terms={4: 1.0})])

        hits = await index.search(IndexQuery(EVERYWHERE, vector=direction(0), words=words({3: 1.0})))

        assert {hit.id.int: hit.similarity for hit in hits} == {1: None, 2: pytest.approx(1.0, abs=2e-3)}

    async def test_a_chunk_without_words_is_found_by_meaning(self, index: VectorIndex) -> None:
        await index.upsert([point(1, direction(2))])

        assert numbers(await by_meaning(index, direction(2))) == {1}

    async def test_a_query_without_vector_and_words_finds_nothing(self, index: VectorIndex) -> None:
        await index.upsert([point(1, direction(2), terms={1: 1.0})])

        assert list(await index.search(IndexQuery(EVERYWHERE))) == []
        assert list(await index.search(IndexQuery(EVERYWHERE, words=words({})))) == []

    @pytest.mark.parametrize(
        ("scope", "expected"),
        [
            (EVERYWHERE, {1, 2, 3}),
            (Scope(collection_ids=frozenset({MINE})), {1, 2}),
            (Scope(collection_ids=frozenset({MINE, YOURS})), {1, 2, 3}),
            (Scope(collection_ids=frozenset({UUID(int=999)})), set[int]()),
            (Scope(collection_ids=frozenset()), set[int]()),
            (Scope(document_ids=frozenset({UUID(int=1002)})), {2}),
            (Scope(document_ids=frozenset()), set[int]()),
            (Scope(frozenset({YOURS}), frozenset({UUID(int=1002)})), set[int]()),
        ],
    )
    async def test_only_points_inside_the_scope_are_found_and_counted(
        self, index: VectorIndex, scope: Scope, expected: set[int]
    ) -> None:
        await index.upsert(
            [
                point(1, direction(0), terms={1: 1.0}, document=1),
                point(2, direction(0), terms={1: 1.0}, document=2),
                point(3, direction(0), terms={1: 1.0}, document=3, collection=YOURS),
            ]
        )

        hits = await index.search(IndexQuery(scope, vector=direction(0), words=words({1: 1.0})))

        assert numbers(hits) == expected
        assert await index.count(scope) == len(expected)

    async def test_points_outside_the_scope_do_not_change_scores_inside(self, index: VectorIndex) -> None:
        mine = Scope(collection_ids=frozenset({MINE}))
        await index.upsert([point(1, terms={1: 1.0}), point(2, terms={2: 1.0})])
        alone = await by_words(index, {1: 1.0}, mine)

        await index.upsert([point(n, terms={1: 1.0}, collection=YOURS) for n in range(10, 30)])

        assert await by_words(index, {1: 1.0}, mine) == pytest.approx(alone)

    async def test_rarity_follows_what_comes_and_goes(self, index: VectorIndex) -> None:
        await index.upsert([point(n, terms={1: 1.0}) for n in range(1, 5)] + [point(9, terms={2: 1.0})])
        await index.delete([UUID(int=2), UUID(int=3)])
        await index.upsert([point(4, terms={3: 1.0})])

        found = await by_words(index, {1: 1.0})

        assert found == pytest.approx({1: idf(points=3, with_term=1)}, rel=1e-3)

    async def test_a_point_of_the_same_id_is_replaced_whole(self, index: VectorIndex) -> None:
        await index.upsert([point(1, direction(0), terms={1: 1.0})])
        await index.upsert([point(1, terms={2: 1.0}, collection=YOURS, document=7)])

        assert await by_words(index, {1: 1.0}) == {}
        assert await by_meaning(index, direction(0)) == []
        assert await index.count(Scope(frozenset({YOURS}), frozenset({UUID(int=1007)}))) == 1
        assert await index.count(EVERYWHERE) == 1

    async def test_points_are_deleted_by_id_by_document_and_by_collection(self, index: VectorIndex) -> None:
        await index.upsert([point(n, direction(0), document=n % 3) for n in range(1, 7)])
        await index.upsert([point(n, direction(0), document=n, collection=YOURS) for n in range(11, 14)])

        await index.delete([UUID(int=1), UUID(int=777)])
        assert numbers(await by_meaning(index, direction(0))) == {2, 3, 4, 5, 6, 11, 12, 13}
        await index.delete_in(Scope(document_ids=frozenset({UUID(int=1000), UUID(int=1011)})))
        assert numbers(await by_meaning(index, direction(0))) == {2, 4, 5, 12, 13}
        await index.delete_in(Scope(collection_ids=frozenset({YOURS})))
        assert numbers(await by_meaning(index, direction(0))) == {2, 4, 5}
        await index.delete_in(Scope(collection_ids=frozenset()))
        assert await index.count(EVERYWHERE) == 3
        await index.delete_in(EVERYWHERE)
        assert await index.count(EVERYWHERE) == 0

    async def test_thousands_of_points_arrive_in_one_call(self, index: VectorIndex) -> None:
        await index.upsert([point(n, direction(n % D), terms={n: 1.0}, document=n) for n in range(1, 1501)])

        assert await index.count(EVERYWHERE) == 1500
        assert await by_words(index, {1234: 1.0}) == {1234: pytest.approx(idf(points=1500, with_term=1), rel=1e-3)}

    async def test_searches_and_writes_may_run_at_once(self, index: VectorIndex) -> None:
        await asyncio.gather(
            *(index.upsert([point(n, direction(n % D), terms={n: 1.0})]) for n in range(1, 40)),
            *(by_meaning(index, direction(n % D)) for n in range(20)),
            *(index.delete([UUID(int=n)]) for n in range(500, 520)),
        )

        assert await index.count(EVERYWHERE) == 39

    @pytest.mark.parametrize("size", [1, D - 1, D + 1])
    async def test_vectors_of_another_length_are_refused(self, index: VectorIndex, size: int) -> None:
        with pytest.raises(VectorShapeError):
            await index.upsert([point(1, np.ones(size, dtype=np.float32))])
        with pytest.raises(VectorShapeError):
            await index.search(IndexQuery(EVERYWHERE, vector=np.ones(size, dtype=np.float32)))

    @pytest.mark.parametrize("bad", [math.nan, math.inf])
    async def test_vectors_that_are_not_finite_are_refused(self, index: VectorIndex, bad: float) -> None:
        vector = np.full(D, bad, dtype=np.float32)

        with pytest.raises(VectorShapeError):
            await index.upsert([point(1, vector)])
        with pytest.raises(VectorShapeError):
            await index.search(IndexQuery(EVERYWHERE, vector=vector))

    async def test_after_closing_it_is_unavailable_and_closing_again_is_fine(self, index: VectorIndex) -> None:
        await index.aclose()
        await index.aclose()

        with pytest.raises(IndexUnavailableError):
            await index.count(EVERYWHERE)


class DurableVectorIndexConformance:
    """Behaviour of a `VectorIndex` whose content outlives it."""

    async def test_everything_is_there_after_opening_again(
        self, index: VectorIndex, reopen: Callable[[VectorIndex], Awaitable[VectorIndex]]
    ) -> None:
        for name in ("first", "second"):
            await index.create(name, dimensions=D)
        await index.activate("second")
        await index.upsert([point(n, direction(n), terms={n: 1.0}) for n in range(1, 6)])
        await index.delete([UUID(int=5)])

        again = await reopen(index)

        assert await again.state() == IndexState(("first", "second"), "second")
        assert await again.count(EVERYWHERE) == 4
        assert [hit.id.int for hit in await by_meaning(again, direction(3))][:1] == [3]
        assert await by_words(again, {3: 1.0}) == {3: pytest.approx(idf(points=4, with_term=1), rel=1e-3)}
