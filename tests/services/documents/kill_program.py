"""A documents service made to be killed: it reads lives from its input, one JSON object a line, and lives each in a
forked process, so that being born again costs no imports. `python -m tests.services.documents.kill_program`.
"""

import asyncio
import json
import os
import pickle
import signal
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from fireside.contracts import vectors
from fireside.contracts.base import Nothing
from fireside.contracts.documents import DocumentDeleted, DocumentIndexed
from fireside.contracts.embedding_models import MOVE_JOB, USE_MODEL, UseEmbeddingModel
from fireside.core.identity import service_identity
from fireside.runtime.context import Context
from fireside.runtime.durable import event_log
from fireside.runtime.durable.tables import jobs
from fireside.runtime.mesh import action
from fireside.services.documents.tables import chunks, documents, objects, texts, uploads
from fireside.testing.durable import eventually
from tests.services.documents.conftest import Knowledge, running_knowledge
from tests.services.documents.fakes import FakeEmbeddings, FakeVectors

LARGE = "\n\n".join(f"## Part {number}\n\n" + f"words of part {number} " * 400 for number in range(12))
BEFORE = {"changed.md": "# Old\n\nold words", "deleted.md": "# Gone\n\ngone words", "kept.md": "# Kept\n\nkept words"}
AFTER = {
    "changed.md": "# New\n\nnew words",
    "large.md": LARGE,
    "small.md": "# Small\n\nsmall words",
    "bad.txt": "CRASH",
}


class FileVectors(FakeVectors):
    """An index that survives, as the real one does: written to a file before it answers."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self._file = file
        if file.exists():
            self.generations, self.active = pickle.loads(file.read_bytes())

    def _save(self) -> None:
        draft = self._file.with_suffix(".draft")
        draft.write_bytes(pickle.dumps((self.generations, self.active)))
        draft.replace(self._file)

    @action(vectors.PREPARE)
    async def prepare(self, context: Context, request: vectors.PrepareGeneration) -> vectors.IndexGenerations:
        made = await super().prepare(context, request)
        self._save()
        return made

    @action(vectors.UPSERT)
    async def upsert(self, context: Context, request: vectors.UpsertChunks) -> Nothing:
        await super().upsert(context, request)
        self._save()
        return Nothing()

    @action(vectors.DELETE)
    async def delete(self, context: Context, request: vectors.DeleteChunks) -> Nothing:
        await super().delete(context, request)
        self._save()
        return Nothing()

    @action(vectors.ACTIVATE)
    async def activate(self, context: Context, request: vectors.GenerationName) -> vectors.IndexGenerations:
        state = await super().activate(context, request)
        self._save()
        return state

    @action(vectors.DROP)
    async def drop(self, context: Context, request: vectors.GenerationName) -> vectors.IndexGenerations:
        state = await super().drop(context, request)
        self._save()
        return state


@dataclass
class Killer:
    """Ends this process the nth time that a point is reached."""

    point: str
    nth: int
    reached: Counter[str] = field(default_factory=Counter)

    def __call__(self, point: str) -> None:
        self.reached[point] += 1
        if point == self.point and self.reached[point] == self.nth:
            os.kill(os.getpid(), signal.SIGKILL)


async def live(folder: Path, *, act: str, point: str, nth: int) -> dict[str, Any]:
    """Start, do what is asked for, wait until nothing is left to do, and report."""
    index = FileVectors(folder / "index.pickle")
    models = FakeEmbeddings()
    models.others = ["model-2"]
    async with running_knowledge(folder, vectors=index, embeddings=models, index_chunks_at_once=4) as knowledge:
        killer = Killer(point, nth)
        knowledge.service.database.probe = killer
        root = knowledge.node.context(identity=service_identity("test"))
        if act == "fill":
            await knowledge.ingest(root, dict(BEFORE))
        if act == "change":
            (gone,) = [item for item in (await knowledge.page(root)).items if item.path == "deleted.md"]
            await knowledge.delete(root, gone.id)
            await knowledge.add(root, dict(AFTER))
        if act == "move":
            await knowledge.as_role("admin").call(USE_MODEL, UseEmbeddingModel(model="model-2"))
            print(json.dumps({"report": {"acknowledged": True}}), flush=True)
        await eventually(lambda: nothing_left(knowledge), within_s=60)
        return await report(knowledge, index, killer)


async def nothing_left(knowledge: Knowledge) -> bool | None:
    """Whether every job has ended, and what a killed process stored without a note of it is erased."""
    alive = select(func.count()).where(jobs.c.state.in_(["queued", "running"]))
    async with knowledge.service.database.read() as session:
        left = (await session.execute(alive)).scalar_one()
    noted = {row.digest: row.state for row in await knowledge.rows(objects)}
    settled = set(noted) == await knowledge.objects() and "doomed" not in noted.values()
    return True if left == 0 and settled else None


async def report(knowledge: Knowledge, index: FileVectors, killer: Killer) -> dict[str, Any]:
    """All that is stored."""
    topics = {DocumentIndexed.topic, DocumentDeleted.topic}
    async with knowledge.service.database.read() as session:
        facts = await event_log.read(session, after=0, topics=topics)
        states = list(await session.scalars(select(jobs.c.state)))
    rows = {table.name: await knowledge.rows(table) for table in (documents, chunks, texts, objects, uploads)}
    return {
        "documents": sorted([row.path, row.state, row.live_version == row.version] for row in rows["documents"]),
        "passages": sorted(str(row.id) for row in rows["chunks"]),
        "in_index": sorted(str(chunk.chunk_id) for chunk in index.chunks()),
        "texts": len(rows[texts.name]),
        "wanted_objects": sorted({row.digest for row in (*rows["documents"], *rows["uploads"]) if row.digest}),
        "known_objects": sorted(row.digest for row in rows["objects"]),
        "stored_objects": sorted(await knowledge.objects()),
        "facts": dict(Counter(f"{fact.topic} {json.loads(fact.payload)['path']}" for fact in facts)),
        "jobs": dict(Counter(states)),
        "generations": list(index.generations),
        "percent": [row.percent for row in await knowledge.rows(jobs) if row.kind == MOVE_JOB],
        "reached": killer.reached,
    }


def main() -> None:
    """Live one life after another."""
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            options = json.loads(line)
            folder = Path(options.pop("folder"))
            result = asyncio.run(live(folder, **options))
            os.write(1, (json.dumps({"report": result}) + "\n").encode())
            os._exit(0)
        _, status = os.waitpid(child, 0)
        os.write(1, (json.dumps({"status": status}) + "\n").encode())


if __name__ == "__main__":
    main()
