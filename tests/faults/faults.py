"""The faults, each of which strikes a part of a cluster under load and is mended again, and what they did."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from tests.faults.effects import lost_and_doubled
from tests.faults.load import Attempt, Load, all_kinds_answered_since, under_load
from tests.faults.setting import HEARTBEAT_TIMEOUT_S, ClusterSetting, Setting, WholeNodeSetting
from tests.postgresql import fetch_all

SettingT = TypeVar("SettingT", bound=Setting)
Deed = Callable[[SettingT], Awaitable[Any]]
AWAY_S = 2.0
NOTICED_S = HEARTBEAT_TIMEOUT_S + 1.2
"""When each node must have noticed that one is gone: the time-out, two signs of life, and air for a busy machine."""


@dataclass(frozen=True)
class Fault(Generic[SettingT]):
    """One fault.

    Attributes:
        strike: Do it.
        mend: Undo it, and wait until what was struck serves again.
        spared: Whether another node does the same work, so that nobody need notice once the dead one is known.
        away_s: How long it lasts.
        cuts: Whether connections of clients may break.
    """

    name: str
    strike: Deed[SettingT]
    mend: Deed[SettingT]
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


def killed(name: str, *, spared: bool = False) -> Fault[Any]:
    """A node dies at once, and is started anew."""

    async def strike(setting: Setting) -> None:
        await asyncio.to_thread(setting.cluster.nodes[name].kill)

    async def mend(setting: Setting) -> None:
        await asyncio.to_thread(setting.cluster.restart, name)

    return Fault(f"{name} killed", strike, mend, spared=spared, cuts=name.startswith("gateway"))


def away(
    name: str, go: Callable[[SettingT], Any], back: Callable[[SettingT], Any], *, spared: bool = False
) -> Fault[SettingT]:
    """Something goes, and comes back after a while, by calls that may take long."""
    return Fault(
        name,
        lambda setting: asyncio.to_thread(go, setting),
        lambda setting: asyncio.to_thread(back, setting),
        spared=spared,
        away_s=0.0 if spared else AWAY_S,
    )


def paused(name: str, *, spared: bool = False) -> Fault[Any]:
    """A node stops in the middle of whatever it does, and goes on later."""
    return away(
        f"{name} paused",
        lambda setting: setting.cluster.nodes[name].pause(),
        lambda setting: setting.cluster.nodes[name].resume(),
        spared=spared,
    )


async def _cut_database(setting: Setting) -> None:
    others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    await fetch_all(setting.database_url, f"SELECT pg_terminate_backend(pid) {others}")


def _part(setting: ClusterSetting) -> None:
    assert setting.machine is not None
    setting.machine.part()


def _join(setting: ClusterSetting) -> None:
    assert setting.machine is not None
    setting.machine.join()


async def _nothing(_: Setting) -> None:
    """It mends itself."""


FAULTS_OF_A_CLUSTER: tuple[Fault[ClusterSetting], ...] = (
    killed("gateway-1", spared=True),
    killed("chat-1", spared=True),
    killed("inference-1", spared=True),
    killed("documents"),
    killed("vectors"),
    paused("chat-2", spared=True),
    away("chat-2 parted from NATS", lambda s: s.line.interrupt(), lambda s: s.line.mend(), spared=True),
    away("NATS killed", lambda s: s.nats.kill(), lambda s: s.nats.start()),
    away("Redis killed", lambda s: s.redis.kill(), lambda s: s.redis.start()),
    Fault("connections of PostgreSQL cut", _cut_database, _nothing),
)
PARTED = away("the machine of chat-2 parted", _part, _join, spared=True)
FAULTS_OF_A_WHOLE_NODE: tuple[Fault[WholeNodeSetting], ...] = (
    away("RabbitMQ killed", lambda s: s.rabbitmq.kill(), lambda s: s.rabbitmq.start()),
    away("RabbitMQ paused", lambda s: s.rabbitmq.pause(), lambda s: s.rabbitmq.resume()),
    away("MongoDB killed", lambda s: s.mongodb.kill(), lambda s: s.mongodb.start()),
    away("PostgreSQL stopped", lambda s: s.postgresql.stop(), lambda s: s.postgresql.start()),
)


async def suffer(setting: SettingT, fault: Fault[SettingT]) -> Outcome:
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
