"""One attempt at a job, as the method that does it sees it."""

import asyncio
from collections.abc import Mapping
from math import isfinite
from typing import Any

import orjson
import structlog

from fireside.contracts.jobs import JobProgress
from fireside.core.errors import InvalidInputError
from fireside.core.ids import JobId, UserId
from fireside.runtime.context import Context
from fireside.runtime.durable.database import Database
from fireside.runtime.durable.job import JobCancelledError
from fireside.runtime.durable.job_store import ClaimedJob, JobStore, Progress
from fireside.runtime.durable.unit_of_work import UnitOfWork
from fireside.runtime.durable.wakeups import wait_at_most

log = structlog.stdlib.get_logger(__name__)


class JobRun:
    """One attempt at a job.

    Attributes:
        id: The job.
        attempt: Which attempt this is, from 1; an interrupted one goes on under the same number.
        owner_id: The user whose job it is.
    """

    def __init__(self, job: ClaimedJob, *, store: JobStore, database: Database, context: Context) -> None:
        self.id: JobId = job.id
        self.attempt: int = job.attempts + 1
        self.owner_id: UserId | None = job.owner_id
        self._store = store
        self._database = database
        self._context = context
        self._checkpoint: dict[str, Any] = {} if job.checkpoint is None else orjson.loads(job.checkpoint)
        self._progress = Progress(job.percent, job.stage, job.detail)
        self._moved, self._over = asyncio.Event(), asyncio.Event()
        self._cancelled = False

    @property
    def cancelled(self) -> bool:
        """Whether the job should end now."""
        return self._cancelled

    @property
    def checkpoint(self) -> dict[str, Any]:
        """What was saved last, in this attempt or one before; empty when nothing was."""
        return dict(self._checkpoint)

    @property
    def so_far(self) -> Progress:
        """How far the job is."""
        return self._progress

    async def progress(self, percent: float, stage: str, detail: str = "") -> None:
        """Say how far the job is. Cheap: it is written and sent a few times a second at most, the last always.

        Args:
            percent: 0 to 100. Less than was reported before counts as that.
            stage: What is being done, in a word or two.
            detail: On what.

        Raises:
            JobCancelledError: The job should end now. Let it pass.
        """
        if not isfinite(percent):
            raise InvalidInputError(f"progress of {percent} percent")
        self.check_cancelled()
        self._progress = Progress(max(self._progress.percent, min(100.0, percent)), stage, detail)
        self._moved.set()
        await asyncio.sleep(0)

    def check_cancelled(self) -> None:
        """Pass unless the job should end now.

        Raises:
            JobCancelledError: It should.
        """
        if self._cancelled:
            raise JobCancelledError(job_id=str(self.id))

    async def save(self, checkpoint: Mapping[str, Any], *, unit: UnitOfWork | None = None) -> None:
        """Keep from where to go on when the process dies.

        Args:
            checkpoint: JSON-serialisable; replaces the one before.
            unit: A transaction of the caller's: what it does and the checkpoint then count together or not at all.

        Raises:
            JobLostError: Another process has taken the job over. Let it pass.
        """
        if unit is not None:
            await self._store.save_checkpoint(self.id, checkpoint, unit)
        else:
            async with self._database.transaction(self._context) as own:
                await self._store.save_checkpoint(self.id, checkpoint, own)
        self._checkpoint = dict(checkpoint)

    def request_cancel(self) -> None:
        """Ask the job to end."""
        self._cancelled = True

    async def report(self) -> None:
        """Write and send progress as it comes, until the attempt is over. The worker runs this beside the job."""
        while True:
            await self._moved.wait()
            self._moved.clear()
            if self._over.is_set():
                return
            try:
                view = await self._store.save_progress(self.id, self._progress)
                await self._context.broadcast(JobProgress(service=self._database.service, job=view))
            except Exception as error:  # noqa: BLE001 - progress may be lost; the job goes on and its end is written
                log.warning("job_progress_not_stored", job_id=str(self.id), error=str(error))
            await wait_at_most(self._over, self._database.settings.progress_s)

    def end_reports(self) -> None:
        """Have `report` return once what it is writing is written."""
        self._over.set()
        self._moved.set()
