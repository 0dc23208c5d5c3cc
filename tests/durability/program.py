"""A small program that states facts and does jobs, made to be killed.

It reads lives from its input, one JSON object a line, and lives each in a forked process, so that being born again
costs no imports. A life acknowledges on its output what was committed; the killer in it ends the process at a point
that the durable core names. `python -m tests.durability.program`.
"""

import asyncio
import json
import os
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar
from uuid import UUID, uuid4

from sqlalchemy import func, select

from fireside.adapters.event_stream.outbox import OutboxEventStream
from fireside.contracts.base import Contract, Event
from fireside.contracts.jobs import JobFinished
from fireside.runtime.context import Context
from fireside.runtime.durable import (
    Database,
    DurableService,
    DurableSettings,
    Job,
    JobRun,
    UnitOfWork,
    event_log,
    on_job,
)
from fireside.runtime.durable.tables import events, inbox, jobs
from fireside.runtime.mesh import on_event
from fireside.testing.durable import eventually
from fireside.testing.facts import Entered
from fireside.testing.mesh import local_node

SETTINGS = DurableSettings(
    retry_s=0.01, max_retry_s=0.05, poll_s=0.1, heartbeat_s=0.5, progress_s=0.0, interruptions=10_000
)
STEPS = 3


class Transfer(Contract):
    entry: UUID


class Stepped(Event):
    topic: ClassVar[str] = "ledger.stepped"
    entry: UUID
    step: int

    @property
    def aggregate_id(self) -> UUID:
        return self.entry


class Audited(Event):
    topic: ClassVar[str] = "auditor.audited"
    account: UUID
    n: int

    @property
    def aggregate_id(self) -> UUID:
        return self.account


class Ended(Event):
    topic: ClassVar[str] = "auditor.ended"
    job: UUID

    @property
    def aggregate_id(self) -> UUID:
        return self.job


TRANSFER = Job("ledger.transfer", Transfer, concurrency=4)


class LedgerService(DurableService):
    name = "ledger"

    async def enter(self, account: UUID, n: int) -> UUID:
        """State a fact and ask for a job, together."""
        entry = uuid4()
        async with self.database.transaction() as unit:
            unit.emit(Entered(account=account, n=n))
            unit.enqueue(TRANSFER, Transfer(entry=entry), owner_id=None)
        return entry

    @on_job(TRANSFER)
    async def transfer(self, context: Context, run: JobRun, payload: Transfer) -> dict[str, Any]:
        """Take a few steps, each of which must take effect once."""
        for step in range(run.checkpoint.get("step", 0), STEPS):
            async with self.database.transaction(context) as unit:
                unit.emit(Stepped(entry=payload.entry, step=step))
                await run.save({"step": step + 1}, unit=unit)
            await run.progress(100.0 * (step + 1) / STEPS, "step")
        return {"entry": str(payload.entry)}


class AuditorService(DurableService):
    name = "auditor"

    @on_event(Entered)
    async def entered(self, _context: Context, event: Entered, unit: UnitOfWork) -> None:
        unit.emit(Audited(account=event.account, n=event.n))

    @on_event(JobFinished)
    async def ended(self, _context: Context, event: JobFinished, unit: UnitOfWork) -> None:
        unit.emit(Ended(job=event.job_id))


@dataclass
class Killer:
    """Ends this process the nth time that a point is reached."""

    point: str
    nth: int
    reached: dict[str, int] = field(default_factory=dict)

    def __call__(self, point: str) -> None:
        self.reached[point] = self.reached.get(point, 0) + 1
        if point == self.point and self.reached[point] == self.nth:
            os.kill(os.getpid(), signal.SIGKILL)


def say(what: str, **facts: object) -> None:
    """One line on the output, in one write, so that it is there whole or not at all."""
    os.write(1, (json.dumps({"what": what, **facts}) + "\n").encode())


async def live(folder: Path, *, facts: int, first: int, point: str, nth: int) -> None:
    """Start, state so many facts on three accounts, wait until nothing is left to do, and report."""
    stream, killer = OutboxEventStream(), Killer(point, nth)
    databases = {
        name: Database(f"sqlite:///{folder}/{name}.sqlite", service=name, stream=stream, settings=SETTINGS)
        for name in ("ledger", "auditor")
    }
    for database in databases.values():
        database.probe = killer
    ledger = LedgerService(database=databases["ledger"])
    async with local_node(ledger, AuditorService(database=databases["auditor"])):

        async def write(account: int) -> None:
            for n in range(first, first + facts // 3):
                entry = await ledger.enter(UUID(int=account), n)
                say("acknowledged", account=account, n=n, entry=str(entry))

        await asyncio.gather(*(write(account) for account in range(3)))
        await eventually(lambda: nothing_left(databases), within_s=100.0)
        say("report", **await report(databases), reached=killer.reached)


async def nothing_left(databases: dict[str, Database]) -> bool | None:
    """Whether every fact has taken effect and every job has ended."""
    alive = select(func.count()).where(jobs.c.state.in_(["queued", "running"]))
    stated = select(func.count()).where(events.c.topic.in_(["ledger.entered", "jobs.finished"]))
    handled = select(func.count()).where(inbox.c.state == "handled")
    async with databases["ledger"].read() as session:
        left, sent = (await session.execute(alive)).scalar_one(), (await session.execute(stated)).scalar_one()
    async with databases["auditor"].read() as session:
        arrived = (await session.execute(handled)).scalar_one()
    return True if left == 0 and arrived == sent else None


async def report(databases: dict[str, Database]) -> dict[str, Any]:
    """All that is stored."""
    logs: dict[str, list[dict[str, Any]]] = {}
    for name, database in databases.items():
        async with database.read() as session:
            entries = await event_log.read(session, after=0, limit=1_000_000)
        logs[name] = [{"topic": entry.topic, **json.loads(entry.payload)} for entry in entries]
    async with databases["ledger"].read() as session:
        states = list((await session.execute(select(jobs.c.state))).scalars())
        results = [json.loads(r) for r in (await session.execute(select(jobs.c.result))).scalars()]
    broken = [str(b) for database in databases.values() if (b := await database.verify_chain()) is not None]
    return {"logs": logs, "states": states, "results": results, "broken": broken}


def main() -> None:
    """Live one life after another."""
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            options = json.loads(line)
            folder = Path(options.pop("folder"))
            asyncio.run(live(folder, **options))
            os._exit(0)
        say("born", pid=child)
        _, status = os.waitpid(child, 0)
        say("died", status=status)


if __name__ == "__main__":
    main()
