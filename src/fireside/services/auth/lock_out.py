"""How long to wait after wrong passwords. Pure rules; what was counted lies in the database.

Two counts are kept for each attempt: one for the account from this address, with few free attempts, and one for the
account from anywhere, with many, against guessing from many addresses. An attempt is counted before its password is
looked at, so that a burst of parallel guesses gets no more tries than one after another; success takes the counts back.
Addresses that have no account are counted just the same, so that the answer tells nothing.
"""

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Attempts:
    """What is remembered of attempts under one key.

    Attributes:
        key: Digest of the account, or of account and address: the table holds no addresses of strangers.
        account: Digest of the account.
        failures: Attempts since the last success.
        last_at: The latest of them.
        locked_until: Until when no further one is admitted.
    """

    key: str
    account: str
    failures: int
    last_at: datetime
    locked_until: datetime | None = None

    def wait_s(self, *, now: datetime) -> float:
        """Seconds until the next attempt is admitted; 0 when it is now."""
        return 0.0 if self.locked_until is None else max(0.0, (self.locked_until - now).total_seconds())


@dataclass(frozen=True, slots=True)
class LockOutRule:
    """Free attempts, then waits that double up to the longest."""

    free_attempts: int
    first_delay_s: float
    longest_delay_s: float
    forget_after_s: float

    def counted(self, attempts: Attempts, *, now: datetime) -> Attempts:
        """The memory after one more attempt, which counts as failed until it succeeds."""
        forgotten = now - attempts.last_at > timedelta(seconds=self.forget_after_s)
        failures = 1 if forgotten else attempts.failures + 1
        return replace(attempts, failures=failures, last_at=now, locked_until=self._locked_until(failures, now))

    def _locked_until(self, failures: int, now: datetime) -> datetime | None:
        beyond = failures - self.free_attempts
        if beyond < 0:
            return None
        delay_s = min(self.longest_delay_s, self.first_delay_s * 2.0 ** min(beyond, 32))
        return now + timedelta(seconds=delay_s)


def account_key(email: str) -> str:
    """Names the count of an account from anywhere."""
    return hashlib.sha256(f"account\n{email}".encode()).hexdigest()


def account_and_address_key(email: str, address: str) -> str:
    """Names the count of an account from one address."""
    return hashlib.sha256(f"account and address\n{email}\n{address}".encode()).hexdigest()
