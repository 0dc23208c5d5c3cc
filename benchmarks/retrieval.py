"""How well passages are found, measured with the parts that do it: parser, chunks, embedder, index, ranking.

    python -m benchmarks.retrieval --pages FOLDER --questions questions.jsonl
    python -m benchmarks.retrieval --beir FOLDER [--documents 2000]

`--pages` reads a folder of Markdown pages, and questions with `question`, `kind`, `history` and `gold_pages`, one JSON
object a line. `--beir` reads `corpus.jsonl` (`_id`, `title`, `text`) and `train.jsonl` (`_id`, `text`, `gold`).
Measured is nDCG@10 and recall@5 by page; the gold pages of a question are alternatives, `multi` needs two of them, and
every gold document of a BEIR claim is needed.
"""

import argparse
import asyncio
import json
import math
import statistics
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid5

from fireside.adapters.document_parser.isolated import IsolatedDocumentParser
from fireside.adapters.embedder.openvino_minilm import OpenVinoMiniLm
from fireside.adapters.vector_index.qdrant_edge import QdrantEdgeIndex
from fireside.contracts import vectors
from fireside.core.clock import SystemClock
from fireside.core.identity import service_identity
from fireside.core.ids import ChunkId, DocumentId
from fireside.ports.document_parser import Block, ParsedDocument, ParseLimits
from fireside.runtime.mesh import Context
from fireside.services.documents.chunking import split_into_chunks
from fireside.services.documents.model import SHARED_ID, Document, Found, StoredChunk, Upload
from fireside.services.documents.paths import title_from
from fireside.services.documents.ranking import rank_passages
from fireside.services.vectors.service import VectorsService
from fireside.testing.mesh import local_node

NAMES = UUID("018f0000-0000-7000-8000-000000000000")
GENERATION = "benchmark"
MODES = {"hybrid": (True, True), "meaning": (True, False), "words": (False, True)}


@dataclass(frozen=True)
class Page:
    """What is searched."""

    path: str
    title: str
    parsed: ParsedDocument


@dataclass(frozen=True)
class Question:
    """What is asked, of which kind, and which pages answer it."""

    text: str
    kind: str
    gold: frozenset[str]
    needed: int


async def read_pages(folder: Path) -> list[Page]:
    parser, pages = IsolatedDocumentParser(readers=1), list[Page]()
    for path, content in read_files(folder):
        parsed = await parser.parse(content, media_type="text/markdown", file_name=path, limits=ParseLimits())
        pages.append(Page(path, parsed.title or title_from(path), parsed))
    await parser.aclose()
    return pages


def read_files(folder: Path) -> list[tuple[str, bytes]]:
    return [(str(file.relative_to(folder)), file.read_bytes()) for file in sorted(folder.rglob("*.md"))]


def read_questions(file: Path) -> list[Question]:
    rows = [json.loads(line) for line in file.read_text().splitlines() if line.strip()]
    return [
        Question(row["question"], row["kind"], frozenset(row["gold_pages"]), 2 if row["kind"] == "multi" else 1)
        for row in rows
        if row["gold_pages"] and not row.get("history")
    ]


def read_beir(folder: Path, limit: int | None) -> tuple[list[Page], list[Question]]:
    claims = [json.loads(line) for line in (folder / "train.jsonl").read_text().splitlines()]
    questions = [Question(row["text"], "claim", frozenset(row["gold"]), len(row["gold"])) for row in claims]
    gold = {page for question in questions for page in question.gold}
    rows = [json.loads(line) for line in (folder / "corpus.jsonl").read_text().splitlines()]
    rows.sort(key=lambda row: row["_id"] not in gold)
    pages = [
        Page(row["_id"], row["title"], ParsedDocument(row["title"], row["text"], [_whole(row["text"])]))
        for row in rows[:limit]
        if row["text"].strip()
    ]
    return pages, questions


def _whole(text: str) -> Block:
    return Block(len(text) - len(text.lstrip()), len(text.rstrip()), "paragraph")


async def index_pages(context: Context, embedder: OpenVinoMiniLm, pages: Iterable[Page]) -> dict[ChunkId, Found]:
    found: dict[ChunkId, Found] = {}
    for page in pages:
        document = _document(page)
        chunks = split_into_chunks(page.parsed, title=page.title)
        entries: list[vectors.IndexedChunk] = []
        for ordinal, chunk in enumerate(chunks):
            chunk_id = ChunkId(uuid5(document.id, str(ordinal)))
            text = page.parsed.text[chunk.start : chunk.end]
            stored = StoredChunk(chunk_id, document.id, 1, ordinal, chunk.start, chunk.end, text, chunk.heading, None)
            found[chunk_id] = Found(stored, document)
            rows = (await embedder.embed(chunk.windows)).astype("<f4").tobytes()
            entries.append(
                vectors.IndexedChunk(
                    chunk_id=chunk_id,
                    document_id=document.id,
                    collection_id=SHARED_ID,
                    text=chunk.index_text,
                    vectors=rows,
                )
            )
        await context.call(vectors.UPSERT, vectors.UpsertChunks(chunks=tuple(entries), generation=GENERATION))
    return found


def _document(page: Page) -> Document:
    now = SystemClock().now()
    upload = Upload(NAMES, None, page.path, "text/plain", "", 0, None, None, page.title, None, None, now)
    return Document.of(upload, SHARED_ID, document_id=DocumentId(uuid5(NAMES, page.path)))


async def find_pages(
    context: Context, embedder: OpenVinoMiniLm, found: dict[ChunkId, Found], question: str, mode: str
) -> list[str]:
    by_meaning, by_words = MODES[mode]
    vector = (await embedder.embed([question])).astype("<f4").tobytes() if by_meaning else b""
    scope = vectors.SearchScope(collection_ids=(SHARED_ID,))
    request = vectors.SearchChunks(scope=scope, text=question if by_words else "", vector=vector, generation=GENERATION)
    candidates = (await context.call(vectors.SEARCH, request)).items
    ranked = rank_passages(question, candidates, found)
    return list(dict.fromkeys(found[item.chunk_id].document.path for item in ranked[:40]))[:10]


def score(pages: Sequence[str], question: Question) -> tuple[float, float]:
    """NDCG@10 and recall@5 of one question."""
    ranks = [rank for rank, page in enumerate(pages, 1) if page in question.gold]
    ideal = sum(1 / math.log2(rank + 1) for rank in range(1, min(question.needed, 10) + 1))
    gained = sum(1 / math.log2(rank + 1) for rank in ranks[: question.needed])
    return gained / ideal, float(any(rank <= 5 for rank in ranks))


async def run(arguments: argparse.Namespace) -> None:
    if arguments.pages:
        pages, questions = await read_pages(arguments.pages), read_questions(arguments.questions)
    else:
        pages, questions = read_beir(arguments.beir, arguments.documents)
    embedder = OpenVinoMiniLm()
    with tempfile.TemporaryDirectory() as folder:
        async with local_node(VectorsService(index=QdrantEdgeIndex(Path(folder)))) as node:
            context = node.context(identity=service_identity("documents"))
            prepare = vectors.PrepareGeneration(generation=GENERATION, dimensions=embedder.facts.dimensions)
            await context.call(vectors.PREPARE, prepare)
            found = await index_pages(context, embedder, pages)
            print(f"{len(pages)} pages, {len(found)} chunks, {len(questions)} questions: nDCG@10 / recall@5")
            for mode in MODES:
                rows: dict[str, list[tuple[float, float]]] = defaultdict(list)
                for question in questions:
                    row = score(await find_pages(context, embedder, found, question.text, mode), question)
                    rows["all"].append(row)
                    rows[question.kind].append(row)
                means = {
                    kind: [statistics.mean(column) for column in zip(*part, strict=True)] for kind, part in rows.items()
                }
                print(f"{mode:8}" + "".join(f"  {kind} {n:.3f} / {r:.3f}" for kind, (n, r) in means.items()))
    await embedder.aclose()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--pages", type=Path)
    source.add_argument("--beir", type=Path)
    parser.add_argument("--questions", type=Path, help="with --pages")
    parser.add_argument("--documents", type=int, help="with --beir: only so many, the gold ones first")
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
