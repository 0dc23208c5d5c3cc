"""Runs the jobs of one service on this node."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any

import structlog

from fireside.core.ids import JobId, new_id
from fireside.core.tasks import end
from fireside.runtime.context import Context
from fireside.runtime.durable.attempt import Attempt, JobMethod
from fireside.runtime.durable.backoff import retry_delay_s
from fireside.runtime.durable.database import Database
from fireside.runtime.durable.failures import DatabaseReadOnlyError
from fireside.runtime.durable.job import Job
from fireside.runtime.durable.job_store import JobStore, Lease
from fireside.runtime.durable.wakeups import wait_at_most

log = structlog.stdlib.get_logger(__name__)


class Worker:
    """Takes due jobs and runs them side by side, each kind within its limit, while keeping hold of their leases."""

    def __init__(self, database: Database, methods: Sequence[tuple[Job[Any], JobMethod]]) -> None:
        self._database = database
        self._settings = database.settings
        self._kinds = {job.kind: (job, method) for job, method in methods}
        self._wake = asyncio.Event()
        self._attempts: dict[JobId, Attempt] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._loops: list[asyncio.Task[None]] = []

    async def start(self, context: Context) -> None:
        """Begin, first with the jobs that an earlier run of this node left in the middle."""
        store = JobStore(self._database, Lease(self._settings.node_id, new_id()))
        try:
            await store.free_interrupted(before_boot=True)
        except DatabaseReadOnlyError as error:  # they are free when their leases have run out
            log.warning("jobs_not_freed", service=self._database.service, error=error.message)
        self._database.wakeups.listen("jobs", self._wake.set)
        self._loops = [
            asyncio.create_task(self._take_jobs(store, context)),
            asyncio.create_task(self._keep_leases(store)),
        ]

    async def stop(self) -> None:
        """End. Running jobs are stopped and queued again, to go on from their checkpoints."""
        self._database.wakeups.forget("jobs", self._wake.set)
        loops, self._loops = self._loops, []
        await end(*loops)
        for attempt in list(self._attempts.values()):
            attempt.interrupt("stop")
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=self._settings.stop_s)
        for attempt in self._attempts.values():
            log.warning("job_not_stopped", job_id=str(attempt.claimed.id), kind=attempt.claimed.kind)

    def cancel(self, job_id: JobId) -> None:
        """End a job if it runs here: it is asked to, and after a while made to."""
        attempt = self._attempts.get(job_id)
        if attempt is not None:
            attempt.cancel()

    async def _take_jobs(self, store: JobStore, context: Context) -> None:
        failures = 0
        while True:
            self._wake.clear()
            try:
                await store.free_interrupted()
                for claimed in await store.claim(self._free_slots()):
                    self._begin(
                        Attempt(claimed, *self._kinds[claimed.kind], store=store, database=self._database, root=context)
                    )
                wait_s, failures = await self._idle_s(store), 0
            except Exception as error:  # noqa: BLE001 - the outermost loop of the worker, which goes on
                failures += 1
                wait_s = retry_delay_s(failures, first_s=0.1, longest_s=self._settings.poll_s * 5)
                log.warning("jobs_not_taken", service=self._database.service, error=str(error))
            await wait_at_most(self._wake, wait_s)

    def _begin(self, attempt: Attempt) -> None:
        job_id = attempt.claimed.id
        self._attempts[job_id] = attempt
        task = attempt.begin()
        self._tasks.add(task)

        def ended(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            self._attempts.pop(job_id, None)
            self._wake.set()

        task.add_done_callback(ended)

    async def _idle_s(self, store: JobStore) -> float:
        due = await store.next_due_in_s(self._free_slots())
        longest_s = self._database.look_again_s
        return longest_s if due is None else min(due, longest_s)

    def _free_slots(self) -> dict[str, int]:
        busy = Counter(attempt.claimed.kind for attempt in self._attempts.values())
        slots = {kind: job.concurrency - busy[kind] for kind, (job, _) in self._kinds.items()}
        return {kind: free for kind, free in slots.items() if free > 0}

    async def _keep_leases(self, store: JobStore) -> None:
        renewed = self._database.clock.monotonic()
        while True:
            await asyncio.sleep(self._settings.heartbeat_s)
            if not self._attempts:
                continue
            try:
                await self._look_after(store)
                if self._database.clock.monotonic() - renewed > self._settings.lease_s / 4:
                    await store.renew(list(self._attempts))
                    renewed = self._database.clock.monotonic()
            except Exception as error:  # noqa: BLE001 - the outermost loop that keeps leases, which goes on
                log.warning("leases_not_kept", service=self._database.service, error=str(error))

    async def _look_after(self, store: JobStore) -> None:
        present = list(self._attempts.items())
        held = await store.held()
        for job_id, attempt in present:
            if job_id not in held:
                attempt.interrupt("lost")
            elif held[job_id]:
                attempt.cancel()
