"""The search index in this process keeps the port's promises, also when the process is killed."""

import asyncio
import shutil
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from signal import SIGKILL
from uuid import UUID

import pytest

from fireside.adapters.vector_index.qdrant_edge import QdrantEdgeIndex
from fireside.ports.vector_index import IndexUnavailableError, VectorIndex
from fireside.testing.conformance.vector_index import (
    EVERYWHERE,
    DurableVectorIndexConformance,
    VectorIndexConformance,
    by_words,
    direction,
    point,
)

WRITER = """
import asyncio, sys
from pathlib import Path
from fireside.adapters.vector_index.qdrant_edge import QdrantEdgeIndex
from fireside.testing.conformance.vector_points import D, direction, point

async def main() -> None:
    index = QdrantEdgeIndex(Path(sys.argv[1]))
    await index.open()
    await index.create("first", dimensions=D)
    await index.activate("first")
    number = 0
    while True:
        number += 1
        await index.upsert([point(number, direction(number % D), terms={number: 1.0})])
        print(number, flush=True)

asyncio.run(main())
"""


@pytest.fixture
async def index(tmp_path: Path) -> AsyncIterator[QdrantEdgeIndex]:
    index = QdrantEdgeIndex(tmp_path / "vectors")
    await index.open()
    yield index
    await index.aclose()


class TestQdrantEdgeIndex(VectorIndexConformance):
    pass


class TestDurableQdrantEdgeIndex(DurableVectorIndexConformance):
    @pytest.fixture
    async def reopen(self, tmp_path: Path) -> AsyncIterator[Callable[[VectorIndex], Awaitable[VectorIndex]]]:
        opened: list[QdrantEdgeIndex] = []

        async def close_and_open(index: VectorIndex) -> VectorIndex:
            await index.aclose()
            opened.append(QdrantEdgeIndex(tmp_path / "vectors"))
            await opened[0].open()
            return opened[0]

        yield close_and_open
        for index in opened:
            await index.aclose()


async def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    writer = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WRITER, str(tmp_path / "killed"), stdout=asyncio.subprocess.PIPE
    )
    assert writer.stdout is not None
    acknowledged = 0
    while acknowledged < 300:
        acknowledged = int(await writer.stdout.readline())
    writer.send_signal(SIGKILL)
    for line in (await writer.stdout.read()).decode().splitlines(keepends=True):
        if line.endswith("\n"):
            acknowledged = int(line)
    await writer.wait()

    index = QdrantEdgeIndex(tmp_path / "killed")
    await index.open()

    assert acknowledged <= await index.count(EVERYWHERE) <= acknowledged + 1
    assert set(await by_words(index, {1: 1.0, acknowledged: 1.0})) == {1, acknowledged}
    await index.aclose()


async def test_a_second_process_is_told_that_the_files_are_taken(index: QdrantEdgeIndex, tmp_path: Path) -> None:
    await index.create("first", dimensions=8)
    second = QdrantEdgeIndex(tmp_path / "vectors")

    with pytest.raises(IndexUnavailableError):
        await second.open()
    await second.aclose()


async def test_leftovers_of_interrupted_changes_are_cleared_away(tmp_path: Path) -> None:
    for leftover in ("half.unfinished", "old.dropped"):
        (tmp_path / "vectors" / leftover / "shard").mkdir(parents=True)
    (tmp_path / "vectors" / "active").write_text("never-made")
    index = QdrantEdgeIndex(tmp_path / "vectors")

    await index.open()

    assert (await index.state()).generations == ()
    assert (await index.state()).active is None
    assert [path.name for path in (tmp_path / "vectors").iterdir()] == ["active"]
    await index.aclose()


async def test_a_damaged_generation_is_reported(tmp_path: Path) -> None:
    (tmp_path / "vectors" / "first" / "shard").mkdir(parents=True)
    (tmp_path / "vectors" / "first" / "generation.json").write_text("{")
    index = QdrantEdgeIndex(tmp_path / "vectors")

    with pytest.raises(IndexUnavailableError):
        await index.open()
    await index.aclose()


async def test_files_are_flushed_while_the_index_stays_open(tmp_path: Path) -> None:
    index = QdrantEdgeIndex(tmp_path / "vectors", flush_after_s=0.0)
    await index.open()
    await index.create("first", dimensions=8)
    await index.activate("first")
    await index.upsert([point(number, direction(0)) for number in range(1, 4)])
    await index.delete([UUID(int=3)])

    async with asyncio.timeout(20):
        copies = 0
        while await _count_without_log(tmp_path / "vectors", tmp_path / f"copy-{copies}") != 2:
            copies += 1
    await index.aclose()


async def _count_without_log(folder: Path, copy: Path) -> int:
    """How many points are in the files themselves, when the log of recent writes is lost."""
    shutil.copytree(folder, copy, ignore=lambda path, names: names if Path(path).name == "wal" else [])
    index = QdrantEdgeIndex(copy)
    await index.open()
    count = await index.count(EVERYWHERE)
    await index.aclose()
    return count
