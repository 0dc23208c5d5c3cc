"""How long a search takes at 1,000, 10,000 and 100,000 chunks, in the index inside the process.

Run `python -m benchmarks.search [--sizes 1000 10000]`. Chunks have three windows and about 90 terms, clustered by
topic and drawn by Zipf's law; queries have eight terms and may see two of five collections, or all. What is measured
is `vectors.search` and the ranking of its candidates; the query's embedding is in `benchmarks.embedder`.
Goal: a search over 10,000 chunks takes tens of milliseconds on two busy cores.
"""

import argparse
import asyncio
import shutil
import tempfile
import time
from pathlib import Path
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from fireside.adapters.vector_index.qdrant_edge import QdrantEdgeIndex
from fireside.contracts.vectors import Candidate
from fireside.core.ids import ChunkId, DocumentId
from fireside.ports.vector_index import IndexHit, IndexPoint, IndexQuery, Scope, SparseVector
from fireside.services.documents.fusion import fuse_scores

DIMENSIONS = 384
WINDOWS = 3
TOPICS = 300
VOCABULARY = 60_000
COLLECTIONS = 5
QUERIES = 60
GENERATION = "benchmark"


class Corpus:
    """Makes chunks and queries, always the same ones."""

    def __init__(self) -> None:
        self._chance = np.random.default_rng(7)
        self._topics = self._chance.normal(size=(TOPICS, DIMENSIONS)).astype(np.float32)

    def vectors(self, count: int) -> NDArray[np.float32]:
        """Unit vectors of one topic."""
        noise = self._chance.normal(size=(count, DIMENSIONS)).astype(np.float32)
        rows = self._topics[self._chance.integers(TOPICS)] + 0.8 * noise
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    def words(self, count: int) -> SparseVector:
        """Terms of so many words, the common ones drawn often."""
        drawn = np.minimum(self._chance.zipf(1.25, size=count), VOCABULARY)
        terms = np.unique(drawn).astype(np.uint32)
        return SparseVector(terms, np.ones(len(terms), dtype=np.float32))

    def points(self, start: int, count: int) -> list[IndexPoint]:
        """Chunks, ten a document."""
        return [
            IndexPoint(
                id=UUID(int=number + 1),
                document_id=UUID(int=number // 10 + 1),
                collection_id=UUID(int=number % COLLECTIONS + 1),
                windows=self.vectors(WINDOWS),
                words=self.words(110),
            )
            for number in range(start, start + count)
        ]

    def query(self, scope: Scope) -> IndexQuery:
        """A query about some topic."""
        return IndexQuery(scope=scope, vector=self.vectors(1)[0], words=self.words(8))


async def measure(size: int) -> None:
    folder, corpus = Path(tempfile.mkdtemp(prefix="fireside-search-")), Corpus()
    index = QdrantEdgeIndex(folder)
    try:
        await index.open()
        await index.create(GENERATION, dimensions=DIMENSIONS)
        await index.activate(GENERATION)
        writing = 0.0
        for start in range(0, size, 1000):
            points = corpus.points(start, min(1000, size - start))
            begun = time.perf_counter()
            await index.upsert(points)
            writing += time.perf_counter() - begun
        print(f"\n{size} chunks: {size / writing:.0f} chunks/s written")
        for seen in (2, COLLECTIONS):
            scope = Scope(collection_ids=frozenset(UUID(int=number + 1) for number in range(seen)))
            await search(index, corpus, scope, f"{seen} of {COLLECTIONS} collections")
        print(f"  {disk_mib(folder):.0f} MiB on disk, {resident_mib():.0f} MiB of memory in use by this process")
    finally:
        await index.aclose()
        shutil.rmtree(folder)


async def search(index: QdrantEdgeIndex, corpus: Corpus, scope: Scope, label: str) -> None:
    taken: list[float] = []
    for turn in range(QUERIES + 5):
        query = corpus.query(scope)
        begun = time.perf_counter()
        hits = await index.search(query)
        fuse_scores([candidate(hit) for hit in hits])
        if turn >= 5:  # the first ones warm up
            taken.append((time.perf_counter() - begun) * 1000)
    middle, high = np.percentile(taken, [50, 95])
    print(f"  {label}: p50 {middle:.1f} ms, p95 {high:.1f} ms")


def candidate(hit: IndexHit) -> Candidate:
    return Candidate(
        chunk_id=ChunkId(hit.id),
        document_id=DocumentId(hit.document_id),
        similarity=hit.similarity,
        keyword=hit.bm25,
    )


def disk_mib(folder: Path) -> float:
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file()) / 2**20


def resident_mib() -> float:
    status = Path("/proc/self/status")
    if not status.exists():
        return float("nan")
    line = next(line for line in status.read_text().splitlines() if line.startswith("RssAnon"))
    return int(line.split()[1]) / 1024


async def run(sizes: list[int]) -> None:
    for size in sizes:
        await measure(size)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="*", default=[1_000, 10_000, 100_000])
    asyncio.run(run(parser.parse_args().sizes))


if __name__ == "__main__":
    main()
