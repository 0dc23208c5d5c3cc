"""What calls of models used: recorded per hour by whoever calls them, summed for people and for limits.

A request is one call of a model; an answer from documents may take several. Costs are whole billionths of the currency
inside, so that sums are exact, and numbers of the currency where people read them.
"""

from datetime import datetime
from typing import Annotated, ClassVar, Literal

from pydantic import AwareDatetime, Field

from fireside.contracts.base import INTERNAL, SIGNED_IN, Action, Contract, Nothing, Signal
from fireside.contracts.permissions import ADMIN_READ
from fireside.core.ids import UserId

LimitScope = Literal["all", "user", "role", "member", "key"]
LimitUnit = Literal["requests", "tokens", "cost"]
LimitWindow = Literal["hour", "day", "month"]
GroupBy = Literal["user", "model", "day", "key"]
NANO = 1_000_000_000
"""Billionths in one of the currency."""
ERASED = "erased"
"""Stands in sums for all whose accounts are gone."""
OPTED_OUT = "opted-out"
"""Stands in reports for all who do not want to be shown by name."""
LIMITS_SETTING = "FIRESIDE_USAGE_LIMITS"
"""The live setting that holds every limit."""


_Amount = Annotated[int, Field(ge=0, le=10**17)]
"""What one row can add, so that sums of rows fit the database for longer than anybody counts."""


class UsageRow(Contract):
    """What was used in one hour (UTC) by one user with one credential of one model; empty texts stand for none.

    `estimated` requests are those whose tokens the server did not tell, `unpriced` those of a model without a price.
    """

    hour: datetime
    user_id: str = ""
    roles: str = ""
    api_key_id: str = ""
    model: str
    requests: _Amount
    prompt_tokens: _Amount
    completion_tokens: _Amount
    cached_tokens: _Amount
    cost_nano: _Amount
    estimated: _Amount
    unpriced: _Amount


class RecordUsage(Contract):
    """Rows to add to those that are stored; a batch counts once, however often it is sent."""

    batch: str
    rows: tuple[UsageRow, ...] = Field(max_length=10_000)


class UsageSum(Contract):
    """Asks what was used since the beginning of an hour: by everybody, a user, those of a role, or with a key."""

    scope: Literal["all", "user", "role", "key"]
    who: str
    model: str | None
    unit: LimitUnit
    since: datetime


class UsageSums(Contract):
    """Asks for several sums."""

    items: tuple[UsageSum, ...]


class UsedAmounts(Contract):
    """Requests, tokens or billionths of the currency, one for each sum that was asked for."""

    amounts: tuple[int, ...]


class UsageQuery(Contract):
    """Asks for usage between two moments, as whole hours; the last 30 days when it does not say."""

    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    group_by: GroupBy = "model"


class UsageItem(Contract):
    """What one group used.

    `group` is the user's or key's id, the model's name or the day; empty for none, `erased` for users who are gone,
    `opted-out` for users who do not want to be shown, and for their keys.
    """

    group: str
    requests: int
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    cost: float
    estimated_requests: int = 0
    unpriced_requests: int = 0


class UsageReport(Contract):
    """Usage in groups, most requests first (days in order), and together."""

    since: datetime
    until: datetime
    group_by: GroupBy
    currency: str
    items: tuple[UsageItem, ...]
    total: UsageItem
    next_cursor: str | None = None


class LimitState(Contract):
    """A limit that holds for the caller, and what is left of it.

    `reserved` is held for calls under way; it counts as used until they end. `shared` tells that others use it too.
    """

    name: str
    scope: LimitScope
    who: str
    model: str | None
    unit: LimitUnit
    window: LimitWindow
    limit: float
    used: float
    reserved: float
    remaining: float
    resets_at: datetime
    shared: bool


class OwnUsage(UsageReport):
    """One's own usage, and what is left. `opted_out`: whether administrators see it only together with others'."""

    limits: tuple[LimitState, ...]
    opted_out: bool = False


class OptOut(Contract):
    """Whether one's usage is shown to administrators only together with that of others who opted out."""

    opted_out: bool


class UserErased(Signal):
    """A user's usage has no name any more; what nodes count of the user is to be forgotten."""

    topic: ClassVar[str] = "usage.user_erased"
    user_id: UserId


RECORD = Action("usage.record", RecordUsage, Nothing, access=INTERNAL, idempotent=True)
SUMS = Action("usage.sums", UsageSums, UsedAmounts, access=INTERNAL, idempotent=True)
REPORT = Action("usage.report", UsageQuery, UsageReport, access=ADMIN_READ, idempotent=True)
OWN = Action("usage.own", UsageQuery, OwnUsage, access=SIGNED_IN, idempotent=True)
OPT_OUT = Action("usage.opt_out", OptOut, OptOut, access=SIGNED_IN, idempotent=True)
