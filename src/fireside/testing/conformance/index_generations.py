"""What every vector index does with its generations: filled side by side, searched by name, exchanged, dropped.

A part of `VectorIndexConformance`, which makes the generation `first`, of D dimensions, and activates it.
"""

import asyncio
from collections.abc import Awaitable
from uuid import UUID

import numpy as np
import pytest

from fireside.core.errors import InvalidInputError
from fireside.ports.vector_index import (
    ActiveGenerationError,
    IndexQuery,
    IndexState,
    Scope,
    UnknownGenerationError,
    VectorIndex,
    VectorShapeError,
)
from fireside.testing.conformance.vector_points import EVERYWHERE, D, by_meaning, direction, numbers, point, words


class GenerationsConformance:
    """Behaviour of a `VectorIndex` that holds several generations."""

    async def test_a_second_generation_is_filled_beside_the_first_and_then_searched(self, index: VectorIndex) -> None:
        await index.upsert([point(1, direction(0), terms={1: 1.0})])
        half = np.full(4, 0.5, dtype=np.float32)
        await index.create("second", dimensions=4)
        await index.upsert([point(2, half)], generation="second")
        assert numbers(await by_meaning(index, direction(0))) == {1}

        await index.activate("second")

        assert numbers(await by_meaning(index, half)) == {2}
        assert (await index.dimensions("first"), await index.dimensions()) == (D, 4)
        assert await index.count(EVERYWHERE, generation="first") == 1
        await index.drop("first")
        assert await index.state() == IndexState(("second",), "second")

    async def test_two_generations_side_by_side_are_each_searched_by_name(self, index: VectorIndex) -> None:
        half = np.full(4, 0.5, dtype=np.float32)
        await index.create("second", dimensions=4)
        await index.upsert([point(1, direction(0), terms={1: 1.0})], generation="first")
        await index.upsert([point(1, half, terms={1: 1.0}), point(2, half, terms={2: 1.0})], generation="second")

        for active in ("first", "second", "first"):
            await index.activate(active)
            first = await index.search(IndexQuery(EVERYWHERE, vector=direction(0), generation="first"))
            second = await index.search(IndexQuery(EVERYWHERE, vector=half, words=words({2: 1.0}), generation="second"))
            assert numbers(first) == {1}
            assert numbers(second) == {1, 2}

        for vector, generation in ((half, "first"), (direction(0), "second")):
            with pytest.raises(VectorShapeError):
                await index.search(IndexQuery(EVERYWHERE, vector=vector, generation=generation))
        with pytest.raises(UnknownGenerationError):
            await index.search(IndexQuery(EVERYWHERE, vector=half, generation="absent"))

    async def test_searches_go_on_while_generations_are_filled_exchanged_and_dropped(self, index: VectorIndex) -> None:
        points = [point(n, direction(n % D), terms={n: 1.0}) for n in range(1, 21)]
        await index.upsert(points, generation="first")
        found: set[int] = set()
        searched = asyncio.Event()

        async def go_on_searching() -> None:
            while True:
                found.add(len(await by_meaning(index, direction(0))))
                searched.set()
                await asyncio.sleep(0)

        searching = asyncio.create_task(go_on_searching())

        async def meanwhile(change: Awaitable[None]) -> None:
            await change
            searched.clear()
            async with asyncio.timeout(10):
                await searched.wait()

        for old, new in (("first", "second"), ("second", "first"), ("first", "second")):
            await meanwhile(index.create(new, dimensions=D))
            await meanwhile(index.upsert(points, generation=new))
            await meanwhile(index.activate(new))
            await meanwhile(index.drop(old))
        searching.cancel()

        with pytest.raises(asyncio.CancelledError):
            await searching
        assert found == {20}
        assert (await index.state()) == IndexState(("second",), "second")

    async def test_what_a_generation_lacks_is_told(self, index: VectorIndex) -> None:
        await index.create("second", dimensions=D)
        await index.upsert([point(n, direction(0)) for n in (1, 2, 3)], generation="first")
        await index.upsert([point(2, direction(0))], generation="second")
        ids = [UUID(int=n) for n in (3, 1, 2)]

        assert list(await index.missing(ids, generation="first")) == []
        assert list(await index.missing(ids, generation="second")) == [UUID(int=3), UUID(int=1)]
        assert list(await index.missing([], generation="second")) == []
        with pytest.raises(UnknownGenerationError):
            await index.missing(ids, generation="absent")

    async def test_deleting_reaches_every_generation(self, index: VectorIndex) -> None:
        await index.create("second", dimensions=D)
        for name in ("first", "second"):
            await index.upsert([point(n, direction(0), document=n) for n in (1, 2, 3)], generation=name)

        await index.delete([UUID(int=1)])
        await index.delete_in(Scope(document_ids=frozenset({UUID(int=1002)})))

        assert await index.count(EVERYWHERE, generation="first") == 1
        assert await index.count(EVERYWHERE, generation="second") == 1

    async def test_making_a_generation_twice_changes_nothing_and_its_size_is_fixed(self, index: VectorIndex) -> None:
        await index.upsert([point(1, direction(0))])

        await index.create("first", dimensions=D)

        assert await index.count(EVERYWHERE) == 1
        with pytest.raises(VectorShapeError):
            await index.create("first", dimensions=D + 1)

    @pytest.mark.parametrize("name", ["", "Upper", "a/b", "../up", "a b", ".hidden", "x" * 101])
    async def test_bad_names_of_generations_are_refused(self, index: VectorIndex, name: str) -> None:
        with pytest.raises(InvalidInputError):
            await index.create(name, dimensions=D)

    async def test_unknown_and_active_generations_are_guarded(self, index: VectorIndex) -> None:
        with pytest.raises(UnknownGenerationError):
            await index.activate("absent")
        with pytest.raises(UnknownGenerationError):
            await index.upsert([point(1, direction(0))], generation="absent")
        with pytest.raises(ActiveGenerationError):
            await index.drop("first")
        with pytest.raises(UnknownGenerationError):
            await index.dimensions("absent")
        await index.drop("absent")

        assert await index.state() == IndexState(("first",), "first")
