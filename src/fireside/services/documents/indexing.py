"""The job that makes documents findable.

Small documents go in groups: one transaction, one call of the embedder and one of the index for all of them, several
groups at a time, so that the embedder is never without work. Every step may be repeated: rows are written before the
index, the index before the switch to the new version, and what an interrupted process stored is taken up again.
"""

import asyncio
from collections.abc import Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import structlog

from fireside.contracts import vectors
from fireside.contracts.documents import DocumentIndexed
from fireside.core.clock import Clock
from fireside.core.errors import FiresideError, InternalError
from fireside.core.ids import DocumentId
from fireside.core.tasks import end
from fireside.runtime.context import Context
from fireside.runtime.durable import Database, JobRun, UnitOfWork
from fireside.services.documents.index_writer import find_targets, write_entries
from fireside.services.documents.model import STOPPED, Document
from fireside.services.documents.preparing import Prepared, Preparing
from fireside.services.documents.repository import contents as content_rows
from fireside.services.documents.repository import documents, index_writing
from fireside.services.documents.repository.contents import Contents
from fireside.services.documents.search_cache import SearchCache
from fireside.services.documents.settings import DocumentsSettings
from fireside.services.documents.work import SWEEP, IndexDocuments, SweepDocuments

log = structlog.stdlib.get_logger(__name__)

_LARGE_BYTES = 4 * 1024**2
"""Larger files make a group of their own, and only one is held in memory at a time."""
_GROUP_BYTES = 64 * 1024
_FILE_WEIGHT_BYTES = 1024
"""What a file costs whatever its size, for progress."""
_SHOWN_FAILURES = 100

_Failure = tuple[Document, FiresideError]


@dataclass(slots=True)
class _Progress:
    """How much of a job is done, by the size of its files."""

    run: JobRun
    total: float
    done: float = 0.0

    async def add(self, weight: float, path: str) -> None:
        self.done += weight
        await self.run.progress(100 * self.done / self.total if self.total else 100, "indexing", path)


@dataclass(frozen=True, slots=True)
class Indexing:
    """Makes documents findable."""

    database: Database
    contents: Contents
    preparing: Preparing
    searches: SearchCache
    settings: DocumentsSettings
    clock: Clock
    _one_large: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def index(self, context: Context, run: JobRun, request: IndexDocuments) -> dict[str, Any]:
        """Read, cut, embed and store documents. A file that cannot be read fails alone.

        Returns:
            How many documents can be found now, and those that failed, each with its reason.

        Raises:
            UnavailableError: The embedding model, the index or the store is not available; what is done stays done.
        """
        versions = {item.document_id: item.version for item in request.documents}
        async with self.database.read() as session:
            present = await documents.find_all(session, versions)
        await _drop_from_index(context, set(versions) - set(present))
        waiting = [
            document
            for document in present.values()
            if document.needs_indexing and document.version == versions[document.id]
        ]
        progress = _Progress(run, total=sum(_weight(document) for document in waiting))
        groups = group_documents(waiting, files=self.settings.index_files_at_once)
        await _run_all(self._index_groups(context, groups, progress) for _ in range(self.settings.index_groups_at_once))
        async with self.database.read() as session:
            present = await documents.find_all(session, versions)
        await self.searches.collections_changed({document.collection_id for document in present.values()})
        return _result(present)

    async def note_stopped(self, unit: UnitOfWork, job_id: UUID, reason: str) -> None:
        """Mark the documents that a job leaves behind which was cancelled or given up."""
        for document in await documents.waiting_for(unit.session, job_id):
            await documents.save(unit.session, document.failed(reason, STOPPED))

    async def _index_groups(self, context: Context, groups: Iterator[list[Document]], progress: _Progress) -> None:
        for group in groups:
            alone = group[0].size_bytes > _LARGE_BYTES
            turn: AbstractAsyncContextManager[None] = self._one_large if alone else nullcontext()
            async with turn:
                await self._index_group(context, group, progress)

    async def _index_group(self, context: Context, group: Sequence[Document], progress: _Progress) -> None:
        epoch, begun = await self._begin(context, group)
        prepared, failures = await self._prepare(begun)
        stored = await self._store(context, prepared, failures)
        reported = await self._embed(context, stored, progress, epoch=epoch)
        await self._finish(context, stored, epoch=epoch)
        await progress.add(sum(_weight(document) for document in group) - reported, group[-1].path)

    async def _begin(self, context: Context, group: Sequence[Document]) -> tuple[int, list[tuple[Document, Document]]]:
        """Mark documents as being read.

        Returns:
            The epoch of the index, and the documents that are still to be read, each as it is and as it was.
        """
        async with self.database.transaction(context) as unit:
            present = await documents.find_all(unit.session, [document.id for document in group], lock=True)
            begun = [(present[before.id].begun(), before) for before in group if _is_current(before, present)]
            for document, _ in begun:
                await documents.save(unit.session, document)
            return await index_writing.epoch(unit.session), begun

    async def _prepare(self, begun: Sequence[tuple[Document, Document]]) -> tuple[list[Prepared], list[_Failure]]:
        prepared: list[Prepared] = []
        failures: list[_Failure] = []
        for document, before in begun:
            try:
                prepared.append(await self.preparing.prepare(document, was_begun=before.state != "pending"))
            except FiresideError as error:
                if error.retryable:
                    raise
                failures.append((document, error))
            except Exception:  # the outermost loop over files: one must not fail the others
                log.exception("document_not_prepared", document_id=str(document.id))
                failures.append((document, InternalError("reading the document failed; the log has the cause")))
        return prepared, failures

    async def _store(
        self, context: Context, prepared: Sequence[Prepared], failures: Sequence[_Failure]
    ) -> list[Prepared]:
        """Store texts and passages, and note failures; returns what is still wanted."""
        stale_ids = tuple(chunk_id for item in prepared for chunk_id in item.stale_ids)
        if stale_ids:
            await context.call(vectors.DELETE, vectors.DeleteChunks(chunk_ids=stale_ids))
        ids = [item.document.id for item in prepared] + [document.id for document, _ in failures]
        async with self.database.transaction(context) as unit:
            present = await documents.find_all(unit.session, ids, lock=True)
            wanted = [item for item in prepared if _is_current(item.document, present)]
            for item in wanted:
                if item.stale_ids:
                    await content_rows.discard_version(unit.session, item.document.id, item.document.version)
                if not item.is_stored:
                    await self.contents.add(unit.session, item.parsed, item.passages)
            for document, error in failures:
                if _is_current(document, present):
                    await documents.save(unit.session, present[document.id].failed(error.message, error.code))
        self.database.probe("passages stored")
        return wanted

    async def _embed(self, context: Context, prepared: Sequence[Prepared], progress: _Progress, *, epoch: int) -> float:
        """Put passages into the index, those of a large document a slice at a time; returns the progress reported."""
        entries = [entry for item in prepared for entry in item.entries()]
        if not entries:
            return 0.0
        targets = await find_targets(context)
        document, step = prepared[0].document, len(entries)
        if len(prepared) == 1:
            step = min(step, self.settings.index_chunks_at_once)
        share = sum(_weight(item.document) for item in prepared) * step / len(entries)
        for start in range(0, len(entries), step):
            if start:
                await self._note_slice(context, document, document.embedded_chunks + start, epoch=epoch)
                await progress.add(share, document.path)
            await write_entries(context, entries[start : start + step], targets)
            self.database.probe("passages embedded")
        return share * ((len(entries) - 1) // step)

    async def _note_slice(self, context: Context, document: Document, embedded_chunks: int, *, epoch: int) -> None:
        async with self.database.transaction(context) as unit:
            await index_writing.require(unit.session, epoch)
            await documents.note_embedded(unit.session, document, embedded_chunks)

    async def _finish(self, context: Context, prepared: Sequence[Prepared], *, epoch: int) -> None:
        """Let searches find the new passages in place of the old ones."""
        async with self.database.transaction(context) as unit:
            await index_writing.require(unit.session, epoch)
            present = await documents.find_all(unit.session, [item.document.id for item in prepared], lock=True)
            outdated = [document.id for document in present.values() if document.live_version]
            for item in prepared:
                if _is_current(item.document, present):
                    await self._switch(unit, present[item.document.id], item)
                elif item.document.id in present:
                    outdated.append(item.document.id)
            if outdated:
                unit.enqueue(SWEEP, SweepDocuments(document_ids=tuple(outdated)), owner_id=None)
        self.database.probe("documents switched")
        await self.searches.collections_changed({document.collection_id for document in present.values()})
        await _drop_from_index(context, {item.document.id for item in prepared} - set(present))

    async def _switch(self, unit: UnitOfWork, document: Document, item: Prepared) -> None:
        count = len(item.passages)
        indexed = document.indexed(title=item.title, chunk_count=count, now=self.clock.now())
        await documents.save(unit.session, indexed)
        unit.emit(
            DocumentIndexed(
                document_id=indexed.id,
                collection_id=indexed.collection_id,
                path=indexed.path,
                title=indexed.title,
                chunk_count=count,
            )
        )


def group_documents(waiting: Iterable[Document], *, files: int) -> Iterator[list[Document]]:
    """Cut into groups that are worked on together: many small documents, or one that is not small.

    Args:
        waiting: In the order to work in.
        files: Most documents of a group.
    """
    group: list[Document] = []
    size_bytes = 0
    for document in waiting:
        if group and (len(group) >= files or size_bytes + document.size_bytes > _GROUP_BYTES):
            yield group
            group, size_bytes = [], 0
        group.append(document)
        size_bytes += document.size_bytes
    if group:
        yield group


def _is_current(document: Document, present: Mapping[DocumentId, Document]) -> bool:
    """Whether nobody has changed or deleted a document since it was read from the database."""
    now = present.get(document.id)
    return now is not None and now.version == document.version and now.state != "indexed"


def _weight(document: Document) -> float:
    return document.size_bytes + _FILE_WEIGHT_BYTES


async def _drop_from_index(context: Context, document_ids: Iterable[UUID]) -> None:
    """Take out what may have come into the index of documents that were deleted meanwhile."""
    gone = tuple(document_ids)
    if gone:
        await context.call(vectors.DELETE, vectors.DeleteChunks(document_ids=gone))


async def _run_all(works: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Run all side by side; when one fails, the others are stopped before its error is raised."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        await asyncio.gather(*tasks)
    finally:
        await end(*tasks)


def _result(present: Mapping[DocumentId, Document]) -> dict[str, Any]:
    failed = [document for document in present.values() if document.state == "failed"]
    shown = [
        {"id": str(document.id), "path": document.path, "reason": document.reason, "code": document.reason_code}
        for document in failed[:_SHOWN_FAILURES]
    ]
    indexed = sum(1 for document in present.values() if document.state == "indexed")
    return {"documents": len(present), "indexed": indexed, "failed_count": len(failed), "failed": shown}
