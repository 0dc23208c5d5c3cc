"""Doing long work with a method of a service.

    class DocumentsService(DurableService):
        @on_job(INDEX)
        async def index(self, context: Context, run: JobRun, payload: IndexDocuments) -> dict[str, Any]: ...

A job runs to an end once in effect, not once: a process that dies in the middle leaves it to be run again. What it
does is either harmless to repeat, or is written in one transaction with its checkpoint (`run.save(..., unit=unit)`).
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from fireside.runtime.context import Context
from fireside.runtime.durable.job import Job, PayloadT
from fireside.runtime.durable.job_run import JobRun
from fireside.runtime.mesh.service import mark

ServiceT = TypeVar("ServiceT")


@dataclass(frozen=True)
class OnJob:
    """Marks the method that does a kind of job."""

    job: Job[Any]


def on_job(
    job: Job[PayloadT],
) -> Callable[
    [Callable[[ServiceT, Context, JobRun, PayloadT], Awaitable[dict[str, Any] | None]]],
    Callable[[ServiceT, Context, JobRun, PayloadT], Awaitable[dict[str, Any] | None]],
]:
    """Do jobs of this kind with this method. What it returns is stored as the job's result."""
    return lambda method: mark(method, OnJob(job))
