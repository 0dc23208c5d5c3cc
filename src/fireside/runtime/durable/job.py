"""A kind of long work, declared once.

INDEX = Job("documents.index", IndexDocuments, max_attempts=5, timeout_s=3600)
"""

from dataclasses import dataclass
from typing import Generic, TypeVar

from fireside.contracts.base import Contract
from fireside.core.errors import ConflictError

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
    """

    kind: str
    payload: type[PayloadT]
    max_attempts: int = 5
    timeout_s: float | None = 3600.0
    concurrency: int = 1
    retry_s: float | None = None
