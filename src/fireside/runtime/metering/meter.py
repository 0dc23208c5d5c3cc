"""The meter of a node: holds calls of models to the limits, and has what they used stored."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

import structlog

from fireside.contracts.usage import SUMS, LimitUnit, UsageSums, UserErased
from fireside.core.clock import Clock
from fireside.core.errors import FiresideError, UnavailableError
from fireside.core.identity import Identity
from fireside.core.ids import new_id
from fireside.core.tasks import Tasks, end
from fireside.ports.usage_counters import Claim, Reserved, Settlement, UsageCounters
from fireside.runtime.context import Context
from fireside.runtime.health import Check
from fireside.runtime.mesh import Service, on_signal
from fireside.runtime.metering.allowances import Allowance, tightest
from fireside.runtime.metering.ledger import Ledger
from fireside.runtime.metering.measured import Expected, Measured
from fireside.runtime.metering.refusing import Full, refusal
from fireside.runtime.metering.rules import Applied, Rules, Spent, window_end
from fireside.runtime.metering.settings import MeteringSettings

log = structlog.stdlib.get_logger(__name__)

_SEEDINGS = 3
_REMEMBERED = 100_000
_PAUSE_S = 1.0
_KEPT_S = 3600.0
"""How long a counter is kept after its window, for calls that began in it."""


class Meter(Service):
    """A part of every node."""

    name = "$metering"

    def __init__(
        self,
        *,
        settings: MeteringSettings,
        counters: UsageCounters,
        clock: Clock,
        check: Callable[[], Awaitable[Check]] | None = None,
    ) -> None:
        """Prepare.

        Args:
            settings: Limits and prices; what they say at the moment holds.
            counters: Where limits are counted; they must not fail.
            clock: Tells the time, and with it the windows.
            check: Looks whether counters that nodes share can be reached; None where they share none.
        """
        self.rules = Rules(settings)
        self.counters = counters
        self._settings, self._clock, self._check = settings, clock, check
        self._ledger = Ledger(settings.write_s)
        self._context: Context | None = None
        self._writing: asyncio.Task[None] | None = None
        self._compared: set[str] = set()
        self._compare_from = float("-inf")
        self._tasks = Tasks()

    async def start(self, context: Context) -> None:
        """Begin to write what is used."""
        self._context = context
        self._writing = asyncio.create_task(self._ledger.keep_writing(context))

    async def stop(self) -> None:
        """Write what is left; calls have ended."""
        await self._tasks.wait()
        if self._writing is not None:
            await end(self._writing)
            self._writing = None
            try:
                await self.write()
            except FiresideError as error:
                log.warning("usage_lost", code=error.code, reason=error.message)

    async def health(self) -> Mapping[str, Check]:
        """Whether what is used gets stored, and counted where all nodes see it."""
        trouble = self._ledger.trouble
        found = {"usage": Check("degraded", f"what is used waits to be stored: {trouble}")} if trouble else {}
        return found if self._check is None else {**found, "limits": await self._check()}

    def measure(self, context: Context, model: str, expected: Callable[[], Expected]) -> Measured:
        """Measure a call of a model; `expected` is asked only when a limit holds, or the server tells no usage."""
        return Measured(self, context.identity, model, expected, at=self._clock.now())

    @property
    def is_limiting(self) -> bool:
        """Whether there is any limit."""
        return bool(self._settings.limits)

    async def left(self, identity: Identity, model: str) -> list[Allowance]:
        """What is left to somebody of the limits of requests and tokens that hold for a model."""
        return await tightest(self.counters, self.rules.applying(identity, model), self._clock.now())

    async def write(self) -> None:
        """Have stored what was used until now.

        Raises:
            FiresideError: The service `usage` does not take it; it is kept.
        """
        await self._ledger.write(self._asking())

    async def admit(self, measured: Measured) -> None:
        """Reserve room for a call on every counter that a limit looks at.

        Raises:
            LimitExceededError: One has no room.
            UnavailableError: A counter must be seeded, and the service `usage` does not say what was used.
        """
        applied = self.rules.applying(measured.identity, measured.model)
        if not applied:
            return
        spent = self._most(measured)
        claims = [Claim(item.key(measured.at), spent.of(item.limit.unit), item.amount) for item in applied]
        by_key = {claim.key: (claim, item) for claim, item in zip(claims, applied, strict=True)}
        away = await self._compare(measured, [by_key[key][1] for key in by_key.keys() - self._compared])
        measured.reservation = new_id().hex
        for _ in range(_SEEDINGS):
            found = await self._reserve(measured, applied, claims)
            if found.full:
                full = [Full(by_key[key][1], by_key[key][0].amount, level) for key, level in found.full]
                raise refusal(full, self._clock.now(), currency=self.rules.currency)
            if not found.unknown:
                return
            if away is not None:
                raise away
            await self._seed(measured, [by_key[key][1] for key in found.unknown])
        raise UnavailableError("the counters of limits are lost again and again")

    async def _reserve(self, measured: Measured, applied: Sequence[Applied], claims: Sequence[Claim]) -> Reserved:
        """Ask for room; what may be held for somebody who leaves before the answer comes is given back."""
        holds: dict[str, tuple[LimitUnit, int]] = {
            claim.key: (item.limit.unit, claim.amount) for claim, item in zip(claims, applied, strict=True)
        }
        try:
            found = await self.counters.reserve(measured.reservation, claims, lease_s=self._settings.lease_s)
        except asyncio.CancelledError:
            measured.holds = holds
            self.settle_soon(measured)
            raise
        if found == Reserved():
            measured.holds = holds
        return found

    @on_signal(UserErased)
    async def forget(self, _context: Context, signal: UserErased) -> None:
        """Count nothing any more of a user who is gone."""
        await self.counters.forget(str(signal.user_id))

    def limits_changed(self, settings: MeteringSettings) -> None:
        """Compare all counters with what is stored once more: nobody has counted for a limit that was away."""
        del settings
        self._compared.clear()

    async def _compare(self, measured: Measured, applied: Sequence[Applied]) -> UnavailableError | None:
        """Compare counters with what is stored that this node has not counted with; why that failed, if it did.

        What is known holds without, and is compared a little later.
        """
        if not applied or self._clock.monotonic() < self._compare_from:
            return None
        try:
            await self._seed(measured, applied)
        except UnavailableError as error:
            self._compare_from = self._clock.monotonic() + _PAUSE_S
            return error
        return None

    async def _seed(self, measured: Measured, applied: Sequence[Applied]) -> None:
        """Have counters begin with what is stored, or know it: calls were made while no limit looked at them.

        Raises:
            UnavailableError: The service `usage` is away, does not answer in time or has trouble of its own.
        """
        at = measured.at
        sums = UsageSums(items=tuple(item.sum(at) for item in applied))
        try:
            await self.write()
            found = await self._asking().call(SUMS, sums)
        except FiresideError as error:
            reason = f"what was used until now, which limits need, is not known: {error.message}"
            raise UnavailableError(reason) from error
        now = self._clock.now()
        for item, used in zip(applied, found.amounts, strict=True):
            left_s = (window_end(item.limit.window, at) - now).total_seconds()
            groups = (str(measured.identity.user_id),) if item.is_personal else ()
            await self.counters.seed(item.key(at), used, ttl_s=max(0.0, left_s) + _KEPT_S, groups=groups)
        if len(self._compared) >= _REMEMBERED:
            self._compared.clear()
        self._compared.update(item.key(at) for item in applied)

    async def settle(self, measured: Measured) -> None:
        """Count what a call used, and give back the rest of what was held for it.

        A limit that was made while it was under way counts it too. Who is cancelled meanwhile leaves it to a task that
        begins anew: counters count once under one name, and a task for each call would cost more than the counting.
        """
        found = measured.usage(self._settings.answer_tokens)
        cost_nano = None if found is None else self.rules.cost_nano(measured.model, found[0])
        spent = Spent(0, 0, 0) if found is None else Spent(1, found[0].total_tokens, cost_nano or 0)
        try:
            await self._settle_counters(measured, spent)
        except asyncio.CancelledError:
            self.settle_soon(measured)
            found = None
            raise
        finally:  # counted before it is stored: a counter that is seeded in between must not count it twice
            if found is not None:
                usage, estimated = found
                self._ledger.add(
                    measured.identity, measured.model, measured.at, usage, cost_nano=cost_nano, estimated=estimated
                )

    def settle_soon(self, measured: Measured) -> None:
        """The same, when whoever asks cannot wait."""
        self._tasks.run(self.settle(measured))

    async def _settle_counters(self, measured: Measured, spent: Spent) -> None:
        applied = self.rules.applying(measured.identity, measured.model)
        if not applied and not measured.holds:
            return
        units: dict[str, LimitUnit] = {key: unit for key, (unit, _) in measured.holds.items()}
        units |= {item.key(measured.at): item.limit.unit for item in applied}
        measured.reservation = measured.reservation or new_id().hex
        held = {key: amount for key, (_, amount) in measured.holds.items()}
        settlements = [Settlement(key, held.get(key, 0), spent.of(unit)) for key, unit in units.items()]
        await self.counters.settle(measured.reservation, settlements)

    def _most(self, measured: Measured) -> Spent:
        """What a call may come to use."""
        usage = measured.expected.most(self._settings.answer_tokens)
        return Spent(1, usage.total_tokens, self.rules.cost_nano(measured.model, usage) or 0)

    def _asking(self) -> Context:
        if self._context is None:
            raise UnavailableError("usage cannot be counted before this node has started")
        return self._context
