"""The long work of the explore service: what its jobs are told."""

from typing import Final

from fireside.contracts.base import Contract
from fireside.runtime.durable import Job


class InstallJob(Contract):
    """Install this. `sha256` is of the model file; `name` is None to take the file's."""

    source: str
    name: str | None = None
    sha256: str | None = None
    anyway: bool = False


INSTALL: Final = Job("explore.install", InstallJob, max_attempts=6, timeout_s=None, concurrency=8, retry_s=2.0)
