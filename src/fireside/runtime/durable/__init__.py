"""What survives: databases, facts with their log and inbox, jobs. Brokers are behind the port `event_stream`."""

from fireside.runtime.durable.database import Database
from fireside.runtime.durable.failures import DatabaseReadOnlyError
from fireside.runtime.durable.job import Job, JobCancelledError
from fireside.runtime.durable.job_method import on_job
from fireside.runtime.durable.job_run import JobRun
from fireside.runtime.durable.job_table import find_keyed_job
from fireside.runtime.durable.locks import hold_lock
from fireside.runtime.durable.read_models import rebuild
from fireside.runtime.durable.service import DurableService
from fireside.runtime.durable.settings import DurableSettings
from fireside.runtime.durable.tables import durable_metadata
from fireside.runtime.durable.types import UtcDateTime
from fireside.runtime.durable.unit_of_work import UnitOfWork
from fireside.runtime.durable.urls import database_url

__all__ = [
    "Database",
    "DatabaseReadOnlyError",
    "DurableService",
    "DurableSettings",
    "Job",
    "JobCancelledError",
    "JobRun",
    "UnitOfWork",
    "UtcDateTime",
    "database_url",
    "durable_metadata",
    "find_keyed_job",
    "hold_lock",
    "on_job",
    "rebuild",
]
