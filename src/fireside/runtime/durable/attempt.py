"""Running one attempt at a job and writing down how it ended."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Literal

import structlog
from pydantic import ValidationError

from fireside.core.errors import (
    DeadlineExceededError,
    InternalError,
    InvalidInputError,
    UnavailableError,
)
from fireside.core.identity import service_identity
from fireside.runtime.context import Context
from fireside.runtime.durable.backoff import retry_delay_s
from fireside.runtime.durable.database import Database
from fireside.runtime.durable.error_facts import error_facts
from fireside.runtime.durable.job import Job
from fireside.runtime.durable.job_run import JobRun
from fireside.runtime.durable.job_store import ClaimedJob, JobLostError, JobStore, to_json
from fireside.runtime.durable.origin import owner_identity
from fireside.runtime.logging import current_call

log = structlog.stdlib.get_logger(__name__)

JobMethod = Callable[[Context, JobRun, Any], Awaitable[dict[str, Any] | None]]


class Attempt:
    """One attempt at a job in this process.

    Attributes:
        claimed: The job as it was taken.
        interruption: Why it is being ended from outside: cancelled by someone, this process stopping, or another
            process having taken the job over.
    """

    def __init__(
        self,
        claimed: ClaimedJob,
        job: Job[Any],
        method: JobMethod,
        *,
        store: JobStore,
        database: Database,
        root: Context,
    ) -> None:
        self.claimed = claimed
        self.interruption: Literal["", "cancel", "stop", "lost"] = ""
        self._job, self._method, self._store, self._database = job, method, store, database
        identity = service_identity(database.service, on_behalf_of=owner_identity(claimed.owner_id))
        request_id = claimed.request_id or root.request_id
        self._context = replace(root, identity=identity, request_id=request_id, action=job.kind, deadline=None)
        self._run = JobRun(claimed, store=store, database=database, context=self._context)
        self._working: asyncio.Task[str] | None = None

    def begin(self) -> asyncio.Task[None]:
        """Start running. The task ends when the end is written down; it raises nothing."""
        self._working = asyncio.create_task(self._call_method())
        return asyncio.create_task(self._execute(self._working), name=f"job {self.claimed.id}")

    def cancel(self) -> None:
        """Ask the method to end, and make it after the time of grace."""
        if not self.interruption:
            self.interruption = "cancel"
            self._run.request_cancel()
            asyncio.get_running_loop().call_later(self._database.settings.cancel_grace_s, self._stop_method)

    def interrupt(self, reason: Literal["stop", "lost"]) -> None:
        """Make the method end at once."""
        self.interruption = reason
        self._stop_method()

    def _stop_method(self) -> None:
        if self._working is not None:
            self._working.cancel()

    async def _execute(self, working: "asyncio.Task[str]") -> None:
        current_call.set(self._context)
        began = self._database.clock.monotonic()
        log.info("job_started", job_id=str(self.claimed.id), kind=self.claimed.kind, attempt=self._run.attempt)
        reporter = asyncio.create_task(self._run.report())
        await asyncio.wait([working])
        self._run.end_reports()
        await reporter
        await self._settle_surely(working)
        span_ms = round((self._database.clock.monotonic() - began) * 1000)
        log.info("job_ended", job_id=str(self.claimed.id), kind=self.claimed.kind, duration_ms=span_ms)

    async def _call_method(self) -> str:
        current_call.set(self._context)
        try:
            payload = self._job.payload.model_validate_json(self.claimed.payload)
        except ValidationError as error:
            raise InvalidInputError(
                f"the stored request of this job is not one for {self.claimed.kind}", errors=error.error_count()
            ) from error
        async with asyncio.timeout(self._job.timeout_s) as limit:
            try:
                return to_json(await self._method(self._context, self._run, payload) or {})
            except TimeoutError as error:
                if limit.expired():
                    raise
                raise DeadlineExceededError("something the job waited for took too long") from error

    async def _settle_surely(self, working: "asyncio.Task[str]") -> None:
        """Write the end down, again and again while the database is unavailable and this process is not stopping."""
        failures = 0
        while not await self._settled(working):
            failures += 1
            if self.interruption == "stop":
                return
            await asyncio.sleep(retry_delay_s(failures, first_s=0.2, longest_s=10.0))

    async def _settled(self, working: "asyncio.Task[str]") -> bool:
        try:
            await self._settle(working)
        except JobLostError:
            log.warning("job_lost", job_id=str(self.claimed.id), kind=self.claimed.kind)
        except UnavailableError as error:
            log.warning("job_end_not_stored", job_id=str(self.claimed.id), error=error.message)
            return False
        except Exception:  # the outermost place that an error of writing reaches: the lease runs out
            log.exception("job_end_not_stored", job_id=str(self.claimed.id))
        return True

    async def _settle(self, working: "asyncio.Task[str]") -> None:
        so_far = self._run.so_far
        if working.cancelled():
            await self._settle_interruption()
            return
        error = working.exception()
        if error is None:
            await self._store.succeed(self._context, self.claimed, result=working.result(), progress=so_far)
        elif self.interruption == "cancel":
            await self._store.cancel(self._context, self.claimed, progress=so_far)
        elif isinstance(error, JobLostError):
            raise error
        else:
            await self._settle_failure(error)

    async def _settle_interruption(self) -> None:
        so_far = self._run.so_far
        if self.interruption == "cancel":
            await self._store.cancel(self._context, self.claimed, progress=so_far)
        elif self.interruption == "stop":
            await self._store.release(self.claimed, progress=so_far)
        elif self.interruption == "lost":
            raise JobLostError(job_id=str(self.claimed.id))
        else:
            await self._settle_failure(InternalError("the job cancelled itself"))

    async def _settle_failure(self, error: BaseException) -> None:
        facts = error_facts(error, timeout_s=self._job.timeout_s)
        last = self._job.gives_up(error, attempt=self._run.attempt)
        log.warning(
            "job_attempt_failed",
            job_id=str(self.claimed.id),
            kind=self.claimed.kind,
            attempt=self._run.attempt,
            last=last,
            exc_info=error,
        )
        so_far = self._run.so_far
        if last:
            await self._store.give_up(self._context, self.claimed, error=facts, progress=so_far)
            return
        first_s = self._database.settings.retry_s if self._job.retry_s is None else self._job.retry_s
        delay_s = retry_delay_s(self._run.attempt, first_s=first_s, longest_s=self._database.settings.max_retry_s)
        await self._store.try_again(self.claimed, error=facts, progress=so_far, delay_s=delay_s)
