"""What was used since it was last written: gathered by hour, user, key and model, and sent to the service `usage`.

Nobody waits for it. What is on its way has a name, so that it is stored once however often it has to be sent. A node
that is killed loses what it gathered in its last quarter of a second; one that is stopped loses nothing.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime

import structlog
from pydantic import ValidationError

from fireside.contracts.answer import Usage
from fireside.contracts.usage import RECORD, RecordUsage, UsageRow
from fireside.core.errors import FiresideError, InvalidInputError
from fireside.core.identity import Identity
from fireside.core.ids import new_id
from fireside.runtime.context import Context
from fireside.runtime.metering.rules import window_end, window_start

log = structlog.stdlib.get_logger(__name__)

_MOST_ROWS = 5_000
_LONGEST_WAIT_S = 30.0


@dataclass(frozen=True, slots=True)
class _Place:
    hour: datetime
    user_id: str
    roles: str
    api_key_id: str
    model: str


@dataclass(slots=True)
class _Sums:
    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    cost_nano: int = 0
    estimated: int = 0
    unpriced: int = 0


@dataclass(slots=True)
class _Hour:
    """The sums of one caller and model in the hour in which they were found last; spares the way by the place."""

    begin: datetime
    end: datetime
    sums: _Sums


@dataclass(slots=True)
class Ledger:
    """Gathers and sends."""

    write_s: float
    _gathered: dict[_Place, _Sums] = field(default_factory=lambda: dict[_Place, _Sums]())
    _last: dict[tuple[Identity, str], _Hour] = field(default_factory=lambda: dict[tuple[Identity, str], _Hour]())
    _sending: RecordUsage | None = None
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    trouble: str = ""

    def add(
        self, identity: Identity, model: str, at: datetime, usage: Usage, *, cost_nano: int | None, estimated: bool
    ) -> None:
        """Note one call. `cost_nano`: None for a model without a price."""
        known = self._last.get((identity, model))
        if known is None or not known.begin <= at < known.end:
            begin = window_start("hour", at)
            sums = self._sums_of(begin, identity, model)
            known = self._last[identity, model] = _Hour(begin, window_end("hour", at), sums)
        sums = known.sums
        sums.requests += 1
        sums.prompt_tokens += usage.prompt_tokens
        sums.completion_tokens += usage.completion_tokens
        sums.cached_tokens += usage.cached_tokens
        sums.cost_nano += cost_nano or 0
        sums.estimated += estimated
        sums.unpriced += cost_nano is None

    def _sums_of(self, hour: datetime, identity: Identity, model: str) -> _Sums:
        place = _Place(
            hour,
            str(identity.user_id or ""),
            ",".join(sorted(identity.roles)),
            str(identity.api_key_id or ""),
            model,
        )
        sums = self._gathered.get(place)
        if sums is None:
            sums = self._gathered[place] = _Sums()
            self._news.set()
        return sums

    async def write(self, context: Context) -> None:
        """Have stored what was gathered until now. What comes meanwhile waits: under load something always does.

        Raises:
            FiresideError: The service `usage` does not take it; it is kept.
        """
        async with self._turn:
            due = len(self._gathered)
            while self._sending is not None or due:
                if self._sending is None:
                    rows = tuple(self._taken(min(due, _MOST_ROWS)))
                    self._sending, due = RecordUsage(batch=new_id().hex, rows=rows), max(0, due - _MOST_ROWS)
                await _send(context, self._sending)
                self._sending = None
            self.trouble = ""

    async def keep_writing(self, context: Context) -> None:
        """Write what comes, in groups, for ever."""
        wait_s = self.write_s
        while True:
            await self._news.wait()
            await asyncio.sleep(wait_s)
            self._news.clear()
            try:
                await self.write(context)
                wait_s = self.write_s
            except FiresideError as error:
                if not self.trouble:
                    log.warning("usage_not_written", code=error.code, reason=error.message)
                self.trouble = error.message
                self._news.set()
                wait_s = min(2 * wait_s, _LONGEST_WAIT_S)

    def _taken(self, count: int) -> Iterator[UsageRow]:
        self._last.clear()
        for place in list(self._gathered)[:count]:
            told = asdict(place) | asdict(self._gathered.pop(place))
            try:
                row = UsageRow(**told)
            except ValidationError:  # one absurd line must not hold up all others
                log.error("usage_put_aside", detail="no database takes these numbers", **told)
                continue
            yield row


async def _send(context: Context, batch: RecordUsage) -> None:
    """Have a batch stored; of one that is refused for what it says, each half under a name of its own.

    So all is stored but the lines that are refused by themselves, and what is sent again still counts once.
    """
    try:
        await context.call(RECORD, batch)
    except InvalidInputError as error:
        rows, middle = batch.rows, len(batch.rows) // 2
        if not middle:
            log.error("usage_put_aside", detail=error.message, rows=[row.model_dump(mode="json") for row in rows])
            return
        for end, half in enumerate((rows[:middle], rows[middle:])):
            await _send(context, RecordUsage(batch=f"{batch.batch}{end}", rows=half))
