"""Checking passwords - counted, delayed, answered alike whether or not there is such an account - and new ones."""

import math
from collections.abc import Mapping
from uuid import UUID

from fireside.contracts.auth_facts import SignInsDelayed
from fireside.core.clock import Clock
from fireside.runtime.context import Context
from fireside.runtime.durable import Database, UnitOfWork
from fireside.services.auth.errors import SignInsDelayedError, WrongCredentialsError
from fireside.services.auth.lock_out import Attempts, LockOutRule, account_and_address_key, account_key
from fireside.services.auth.model import User, check_password, normal_password
from fireside.services.auth.password_hasher import PasswordHasher
from fireside.services.auth.repository import attempts, users
from fireside.services.auth.settings import AuthSettings


class Passwords:
    """Tells whether someone knows the password of an account, and hashes new passwords that are good enough."""

    def __init__(self, *, database: Database, hasher: PasswordHasher, settings: AuthSettings, clock: Clock) -> None:
        self._database, self._hasher, self._clock = database, hasher, clock
        self._settings = settings

    async def check(self, context: Context, *, email: str, password: str, address: str) -> tuple[User, str | None]:
        """The account whose address and password these are. Call `forget` once all else is well.

        Args:
            context: Who asks.
            email: In its normal form.
            password: As typed.
            address: Where the attempt comes from.

        Returns:
            The account, and a hash to store instead of its present one when that is outdated.

        Raises:
            WrongCredentialsError: There is no such account, or it has another password, or none.
            SignInsDelayedError: There were too many attempts.
        """
        counted = await self._count(email, address)
        async with self._database.read() as session:
            user = await users.find_by_email(session, email)
        stored = user.password_hash if user is not None else None
        right, new_hash = await self._hasher.verify(normal_password(password), stored)
        if user is None or not right:
            await self._note_delay(context, user, counted, address)
            raise WrongCredentialsError(error="invalid_grant")
        return user, new_hash

    async def forget(self, unit: UnitOfWork, *, email: str, address: str) -> None:
        """Take the count of an attempt back that succeeded."""
        await attempts.forget(unit.session, [*self._rules(email, address)])

    async def hash_new(self, password: str, *, email: str) -> str:
        """The hash to store of a new password.

        Raises:
            WeakPasswordError: It is too easy to guess.
        """
        password = normal_password(password)
        check_password(password, email=email, min_chars=self._settings.password_min_chars)
        return await self._hasher.hash(password)

    async def _count(self, email: str, address: str) -> list[Attempts]:
        """Count an attempt before it is made.

        Raises:
            SignInsDelayedError: It is not admitted.
        """
        now, counted = self._clock.now(), list[Attempts]()
        async with self._database.transaction() as unit:
            for key, rule in self._rules(email, address).items():
                before = await attempts.get(unit.session, key, account=account_key(email), now=now)
                wait_s = before.wait_s(now=now)
                if wait_s > 0:
                    raise SignInsDelayedError(retry_after_s=math.ceil(wait_s), error="invalid_grant")
                counted.append(rule.counted(before, now=now))
                await attempts.save(unit.session, counted[-1])
        return counted

    async def _note_delay(self, context: Context, user: User | None, counted: list[Attempts], address: str) -> None:
        failures = max((count.failures for count in counted if count.locked_until is not None), default=0)
        if not failures:
            return
        async with self._database.transaction(context) as unit:
            user_id = None if user is None else user.id
            account = UUID(counted[0].account[:32])
            unit.emit(SignInsDelayed(account=account, user_id=user_id, failures=failures, address=address))

    def _rules(self, email: str, address: str) -> Mapping[str, LockOutRule]:
        settings = self._settings
        return {
            account_and_address_key(email, address): _rule(settings, settings.free_attempts),
            account_key(email): _rule(settings, settings.free_attempts_account),
        }


def _rule(settings: AuthSettings, free_attempts: int) -> LockOutRule:
    return LockOutRule(
        free_attempts=free_attempts,
        first_delay_s=settings.first_delay_s,
        longest_delay_s=settings.longest_delay_s,
        forget_after_s=settings.forget_failures_s,
    )
