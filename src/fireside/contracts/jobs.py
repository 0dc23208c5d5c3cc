"""Long work of any service: seeing it, cancelling it, trying it again, and what was given up.

Every service that has jobs or handles facts offers the same actions under its own name: `documents.jobs.get`.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Literal
from uuid import UUID

from pydantic import Field

from fireside.contracts.base import SIGNED_IN, Action, Contract, Event, Signal
from fireside.core.ids import JobId, UserId

JobState = Literal["queued", "running", "succeeded", "failed", "cancelled"]
MANAGE_JOBS = "jobs:manage"
"""The permission to see and steer the jobs of all users, and dead letters."""


class JobView(Contract):
    """A job as its owner sees it.

    `percent` never goes back while a job is tried again or resumed. `result` is set when it succeeded, `error`
    when an attempt failed (`code`, `message`, `details` as of a problem document); it stays until the job succeeds.
    """

    id: JobId
    kind: str
    state: JobState
    percent: float = Field(default=0.0, ge=0.0, le=100.0)
    stage: str = ""
    detail: str = ""
    result: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    attempts: int = 0
    cancelling: bool = False
    owner_id: UserId | None = None
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None


class JobRef(Contract):
    """Which job is meant."""

    id: JobId


class ListJobs(Contract):
    """The caller's jobs, or everybody's (`everyone`, for managers of jobs), newest first.

    `cursor` is the `next_cursor` of the page before.
    """

    kind: str | None = None
    state: JobState | None = None
    everyone: bool = False
    cursor: str | None = None
    limit: int = Field(default=50, ge=1, le=200)


class JobPage(Contract):
    """Jobs, newest first; `next_cursor` is None on the last page."""

    jobs: tuple[JobView, ...] = ()
    next_cursor: str | None = None


class DeadLetter(Contract):
    """A job or a fact that was given up after its last attempt, or a message of the event stream that is no fact.

    `name` is the job's kind or the fact's topic, `message` for one that is no fact; `subject_id` the job, the fact or
    the message. `error` is as in `JobView`.
    """

    id: UUID
    type: Literal["job", "event", "message"]
    name: str
    subject_id: UUID
    consumer_group: str = ""
    attempts: int
    error: dict[str, Any]
    occurred_at: datetime
    redriven_at: datetime | None = None
    redriven_by: UserId | None = None


class ListDeadLetters(Contract):
    """Dead letters, newest first, then messages that are no facts; `redriven`: those too that were driven again."""

    redriven: bool = False
    cursor: str | None = None
    limit: int = Field(default=50, ge=1, le=200)


class DeadLetterPage(Contract):
    """Dead letters, newest first; `next_cursor` is None on the last page."""

    letters: tuple[DeadLetter, ...] = ()
    next_cursor: str | None = None


class DeadLetterRef(Contract):
    """Which dead letter is meant."""

    id: UUID


class JobProgress(Signal):
    """A job moved on. May be lost: the job itself says where it is."""

    topic: ClassVar[str] = "jobs.progress"

    service: str
    job: JobView


class JobFinished(Event):
    """A job came to its end: succeeded, failed for good, or cancelled."""

    topic: ClassVar[str] = "jobs.finished"

    service: str
    job_id: JobId
    kind: str
    state: JobState
    owner_id: UserId | None = None
    error: dict[str, Any] | None = None

    @property
    def aggregate_id(self) -> UUID:
        """The job."""
        return self.job_id


@dataclass(frozen=True)
class JobActions:
    """What one service offers for its jobs.

    Attributes:
        list: The caller's jobs, or everybody's.
        get: One job; 404 when it is neither the caller's nor is the caller a manager of jobs.
        cancel: Ends a queued job at once and a running one soon; a finished one stays as it is.
        retry: Queues a failed or cancelled job again; a conflict for any other.
        dead: Dead letters.
        redrive: Drives a dead letter again, once.
    """

    list: Action[ListJobs, JobPage]
    get: Action[JobRef, JobView]
    cancel: Action[JobRef, JobView]
    retry: Action[JobRef, JobView]
    dead: Action[ListDeadLetters, DeadLetterPage]
    redrive: Action[DeadLetterRef, DeadLetter]


def jobs_of(service: str) -> JobActions:
    """The job actions of a service: `await context.call(jobs_of("documents").get, JobRef(id=job_id))`."""
    return JobActions(
        list=Action(f"{service}.jobs.list", ListJobs, JobPage, access=SIGNED_IN, idempotent=True),
        get=Action(f"{service}.jobs.get", JobRef, JobView, access=SIGNED_IN, idempotent=True),
        cancel=Action(f"{service}.jobs.cancel", JobRef, JobView, access=SIGNED_IN, idempotent=True),
        retry=Action(f"{service}.jobs.retry", JobRef, JobView, access=SIGNED_IN),
        dead=Action(f"{service}.jobs.dead", ListDeadLetters, DeadLetterPage, access=MANAGE_JOBS, idempotent=True),
        redrive=Action(f"{service}.jobs.redrive", DeadLetterRef, DeadLetter, access=MANAGE_JOBS),
    )
