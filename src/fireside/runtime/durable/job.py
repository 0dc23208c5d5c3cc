"""A kind of long work, declared once.

INDEX = Job("documents.index", IndexDocuments, max_attempts=5, timeout_s=3600)
"""

from dataclasses import dataclass
from typing import Generic, TypeVar

from fireside.contracts.base import Contract
from fireside.core.errors import (
    ConflictError,
    DeadlineExceededError,
    FiresideError,
    InternalError,
    TooManyRequestsError,
    UnavailableError,
)

_NOT_NOW = frozenset({UnavailableError.status, DeadlineExceededError.status, TooManyRequestsError.status})
PayloadT = TypeVar("PayloadT", bound=Contract)


class JobCancelledError(ConflictError):
    """The job was cancelled."""

    code = "job_cancelled"


@dataclass(frozen=True)
class Job(Generic[PayloadT]):
    """One kind of long work.

    Attributes:
        kind: `<service>.<what>`, stored with every job.
        payload: What a job of this kind needs to know.
        max_attempts: How often it is tried before it is given up. Being interrupted is no attempt.
        timeout_s: Longest time for one attempt; None for no limit.
        concurrency: Most jobs of this kind that run at once on a node.
        retry_s: Wait before the second attempt, doubled each time; the setting of the durable core when None.
        waits_for_parts: Whether it is never given up because a part that it needs is away, busy, or does not answer.
    """

    kind: str
    payload: type[PayloadT]
    max_attempts: int = 5
    timeout_s: float | None = 3600.0
    concurrency: int = 1
    retry_s: float | None = None
    waits_for_parts: bool = False

    def gives_up(self, error: BaseException, *, attempt: int) -> bool:
        """Whether no attempt follows the one, from 1, that ended so."""
        if not isinstance(error, FiresideError):
            return attempt >= self.max_attempts
        if self.waits_for_parts and error.status in _NOT_NOW:
            return False
        return attempt >= self.max_attempts or not (error.retryable or error.status >= InternalError.status)
