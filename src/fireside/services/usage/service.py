"""The usage service: adds up what nodes tell, and shows it."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from sqlalchemy import Row
from sqlalchemy.exc import DBAPIError

from fireside.contracts import usage
from fireside.contracts.auth_facts import UserDeleted
from fireside.contracts.base import Nothing
from fireside.contracts.usage import NANO, LimitState, OwnUsage, UsageItem, UsageQuery, UsageReport
from fireside.core.clock import Clock
from fireside.core.errors import FiresideError, InvalidInputError
from fireside.core.identity import Identity
from fireside.ports.usage_counters import Level
from fireside.runtime.context import Context
from fireside.runtime.durable import Database, DurableService, UnitOfWork
from fireside.runtime.mesh import action, on_event
from fireside.runtime.metering import Meter
from fireside.runtime.metering.refusing import in_unit
from fireside.runtime.metering.rules import Applied, window_end
from fireside.services.usage import repository

_SHOWN = timedelta(days=30)
_COLUMNS = {"user": "user_id", "model": "model", "day": "hour", "key": "api_key_id"}


class UsageService(DurableService):
    """Keeps sums of every hour."""

    name: ClassVar[str] = "usage"

    def __init__(self, *, database: Database, meter: Meter, clock: Clock) -> None:
        """Put the service together.

        Args:
            database: Its own.
            meter: Of this node: knows the limits that hold, and their counters.
            clock: Tells the time.
        """
        super().__init__(database=database)
        self._meter, self._clock = meter, clock

    @action(usage.RECORD)
    async def record(self, context: Context, request: usage.RecordUsage) -> Nothing:
        """Add what was used; a batch that was added before is passed over.

        Raises:
            InvalidInputError: A row has what the database does not take; nothing was added.
        """
        try:
            async with self.database.transaction(context) as unit:
                if await repository.is_new_batch(unit.session, request.batch, now=self._clock.now()):
                    await repository.add(unit.session, request.rows)
        except DBAPIError as error:
            if not repository.is_about_values(error):
                raise
            raise InvalidInputError(f"a row has what the database does not take: {error.orig}") from error
        return Nothing()

    @action(usage.SUMS)
    async def sums(self, _context: Context, request: usage.UsageSums) -> usage.UsedAmounts:
        """What was used since the beginning of windows."""
        async with self.database.read() as session:
            return usage.UsedAmounts(
                amounts=tuple([await repository.used_since(session, wanted) for wanted in request.items])
            )

    @action(usage.REPORT)
    async def report(self, _context: Context, request: UsageQuery) -> UsageReport:
        """Everybody's usage.

        Raises:
            InvalidInputError: The end comes before the beginning.
        """
        return UsageReport(**await self._summed(request, None))

    @action(usage.OWN)
    async def own(self, context: Context, request: UsageQuery) -> OwnUsage:
        """The caller's usage, and what is left of each limit.

        Raises:
            InvalidInputError: The end comes before the beginning.
        """
        user_id = str(context.identity.require_user())
        async with self.database.read() as session:
            opted_out = await repository.has_opted_out(session, user_id)
        limits = await self._limits(context.identity)
        return OwnUsage(**await self._summed(request, user_id), limits=limits, opted_out=opted_out)

    @action(usage.OPT_OUT)
    async def opt_out(self, context: Context, request: usage.OptOut) -> usage.OptOut:
        """Have the caller's usage shown to administrators only together with that of others, or by name again."""
        user_id = str(context.identity.require_user())
        async with self.database.transaction(context) as unit:
            await repository.opt_out(unit.session, user_id, opted=request.opted_out)
        return request

    @on_event(UserDeleted)
    async def erase_user(self, context: Context, event: UserDeleted, unit: UnitOfWork) -> None:
        """Keep what a user used without the user, and have all nodes forget what they count of them."""
        await repository.erase_user(unit.session, str(event.user_id))
        await self._meter.counters.forget(str(event.user_id))
        await context.as_service(self.name).broadcast(usage.UserErased(user_id=event.user_id))

    async def _summed(self, request: UsageQuery, user_id: str | None) -> dict[str, Any]:
        until = (request.until or window_end("hour", self._clock.now())).astimezone(UTC)
        since = (request.since or until - _SHOWN).astimezone(UTC)
        if since > until:
            raise InvalidInputError(f"{since.isoformat()} is after {until.isoformat()}", field="since")
        since = since.replace(minute=0, second=0, microsecond=0)
        with suppress(FiresideError):  # what was stored before can be shown without
            await self._meter.write()
        async with self.database.read() as session:
            rows = await repository.sums(session, _COLUMNS[request.group_by], since=since, until=until, user_id=user_id)
        items = _by_day(rows) if request.group_by == "day" else [_item(row.group, [row]) for row in rows]
        if request.group_by != "day":
            items.sort(key=lambda item: -item.requests)
        return {
            "since": since,
            "until": until,
            "group_by": request.group_by,
            "currency": self._meter.rules.currency,
            "items": tuple(items),
            "total": _item("", rows),
        }

    async def _limits(self, identity: Identity) -> tuple[LimitState, ...]:
        """What holds for any model, and for those that have limits of their own."""
        rules, now = self._meter.rules, self._clock.now()
        found = [item for model in ("", *sorted(rules.models)) for item in rules.applying(identity, model)]
        by_key = {item.key(now): item for item in found}
        levels = dict(zip(by_key, await self._meter.counters.look(list(by_key)), strict=True)) if by_key else {}
        missing = [item for key, item in by_key.items() if levels[key] is None]
        async with self.database.read() as session:
            stored = {item.key(now): await repository.used_since(session, item.sum(now)) for item in missing}
        return tuple(_state(item, levels[key] or Level(stored[key], 0), now) for key, item in by_key.items())


def _state(applied: Applied, level: Level, now: datetime) -> LimitState:
    limit = applied.limit
    return LimitState(
        name=limit.name,
        scope=limit.scope,
        who=limit.who,
        model=limit.model,
        unit=limit.unit,
        window=limit.window,
        limit=in_unit(limit.unit, applied.amount),
        used=in_unit(limit.unit, level.used),
        reserved=in_unit(limit.unit, level.held),
        remaining=in_unit(limit.unit, applied.left(level)),
        resets_at=window_end(limit.window, now),
        shared=not applied.is_personal,
    )


def _by_day(rows: Iterable[Row[Any]]) -> list[UsageItem]:
    days: defaultdict[str, list[Row[Any]]] = defaultdict(list)
    for row in rows:
        days[f"{row.group:%Y-%m-%d}"].append(row)
    return [_item(day, found) for day, found in sorted(days.items())]


def _item(group: str, rows: Sequence[Row[Any]]) -> UsageItem:
    def total(name: str) -> int:
        return sum(int(getattr(row, name)) for row in rows)

    return UsageItem(
        group=group,
        requests=total("requests"),
        prompt_tokens=total("prompt_tokens"),
        completion_tokens=total("completion_tokens"),
        cached_tokens=total("cached_tokens"),
        cost=total("cost_nano") / NANO,
        estimated_requests=total("estimated"),
        unpriced_requests=total("unpriced"),
    )
