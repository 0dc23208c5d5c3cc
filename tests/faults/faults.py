"""The faults, each of which strikes a part of a cluster under load and is mended again, and what they did."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from tests.faults.effects import lost_and_doubled
from tests.faults.load import Attempt, Load, all_kinds_answered_since, under_load
from tests.faults.setting import HEARTBEAT_TIMEOUT_S, Setting
from tests.postgresql import fetch_all

Deed = Callable[[Setting], Awaitable[Any]]
AWAY_S = 2.0
NOTICED_S = HEARTBEAT_TIMEOUT_S + 1.2
"""When each node must have noticed that one is gone: the time-out, two signs of life, and air for a busy machine."""


@dataclass(frozen=True)
class Fault:
    """One fault.

    Attributes:
        strike: Do it.
        mend: Undo it, and wait until what was struck serves again.
        spared: Whether another node does the same work, so that nobody need notice once the dead one is known.
        away_s: How long it lasts.
        cuts: Whether connections of clients may break.
    """

    name: str
    strike: Deed
    mend: Deed
    spared: bool = False
    away_s: float = 0.0
    cuts: bool = False


@dataclass(frozen=True)
class Outcome:
    """What a fault did.

    Attributes:
        counts: Requests from the fault on until all was well, by what came of them.
        unclear: What failed without saying that trying again helps.
        late: What failed though it began when the fault was long known and another node was there.
        recovery_s: From the fault until of each kind a request was answered that began after it.
        lost: Of what was acknowledged.
        doubled: Effects beyond the one.
    """

    counts: Counter[str] = field(default_factory=Counter[str])
    unclear: tuple[Attempt, ...] = ()
    late: tuple[Attempt, ...] = ()
    recovery_s: float = 0.0
    lost: tuple[str, ...] = ()
    doubled: tuple[str, ...] = ()

    @property
    def failed(self) -> int:
        """Requests that were not answered."""
        return self.counts.total() - self.counts["answered"]


def killed(name: str, *, spared: bool = False) -> Fault:
    """A node dies at once, and is started anew."""

    async def strike(setting: Setting) -> None:
        await asyncio.to_thread(setting.cluster.nodes[name].kill)

    async def mend(setting: Setting) -> None:
        await asyncio.to_thread(setting.cluster.restart, name)

    return Fault(f"{name} killed", strike, mend, spared=spared, cuts=name.startswith("gateway"))


async def _pause_chat(setting: Setting) -> None:
    setting.cluster.nodes["chat-2"].pause()


async def _resume_chat(setting: Setting) -> None:
    setting.cluster.nodes["chat-2"].resume()


async def _cut_database(setting: Setting) -> None:
    others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    await fetch_all(setting.database_url, f"SELECT pg_terminate_backend(pid) {others}")


async def _nothing(_: Setting) -> None:
    """It mends itself."""


FAULTS = (
    killed("gateway-1", spared=True),
    killed("chat-1", spared=True),
    killed("inference-1", spared=True),
    killed("documents"),
    killed("vectors"),
    Fault("chat-2 paused", _pause_chat, _resume_chat, spared=True),
    Fault(
        "NATS killed",
        lambda setting: asyncio.to_thread(setting.nats.kill),
        lambda setting: asyncio.to_thread(setting.nats.start),
        away_s=AWAY_S,
    ),
    Fault(
        "Redis killed",
        lambda setting: asyncio.to_thread(setting.redis.kill),
        lambda setting: asyncio.to_thread(setting.redis.start),
        away_s=AWAY_S,
    ),
    Fault("connections of PostgreSQL cut", _cut_database, _nothing),
)


async def suffer(setting: Setting, fault: Fault) -> Outcome:
    """Strike while people work, mend, wait until all is well, and compare."""
    async with under_load(setting.gateways, setting.cluster.key) as load:
        struck = time.monotonic()
        await fault.strike(setting)
        late = await _see_it_spared(load, struck) if fault.spared else ()
        await asyncio.sleep(fault.away_s)
        await fault.mend(setting)
        await load.wait_until(all_kinds_answered_since(time.monotonic()))
        await load.rest()
        lost, doubled = await lost_and_doubled(load, setting.database_url)
    seen = [one for one in load.attempts if one.ended >= struck]
    return Outcome(
        counts=Counter(one.outcome for one in seen),
        unclear=tuple(one for one in seen if one.outcome == "unclear" or (one.outcome == "cut" and not fault.cuts)),
        late=late,
        recovery_s=_recovery_s(seen, struck),
        lost=tuple(lost),
        doubled=tuple(doubled),
    )


async def _see_it_spared(load: Load, struck: float) -> tuple[Attempt, ...]:
    """What failed of that which began once the fault must be known, until enough was answered."""
    known = struck + NOTICED_S
    await asyncio.sleep(max(0.0, known - time.monotonic()))
    await load.wait_until(all_kinds_answered_since(known))
    return tuple(one for one in load.attempts if one.began >= known and one.outcome != "answered")


def _recovery_s(attempts: list[Attempt], struck: float) -> float:
    """When of each kind one was answered that began after the fault."""
    first: dict[str, float] = {}
    for one in attempts:
        if one.began >= struck and one.outcome == "answered":
            first.setdefault(one.kind, one.ended - struck)
    return max(first.values())
