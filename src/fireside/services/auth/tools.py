"""What every part of the service works with."""

from dataclasses import dataclass

from fireside.core.clock import Clock
from fireside.runtime.durable import Database
from fireside.services.auth.changes import Changes
from fireside.services.auth.passwords import Passwords
from fireside.services.auth.settings import AuthSettings


@dataclass(frozen=True, slots=True)
class Tools:
    """Made once, by the service.

    Attributes:
        database: The service's own.
        settings: Limits and times.
        clock: Tells the time.
        passwords: Checks and hashes them.
        changes: Tells everyone when rights were taken away.
    """

    database: Database
    settings: AuthSettings
    clock: Clock
    passwords: Passwords
    changes: Changes
