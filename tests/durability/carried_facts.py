"""Facts stated in one process, carried by a broker and handled in another, while all three are killed.

Each program of `python -m tests.durability.carried_facts` reads lives from its input, one JSON object a line, and lives
each in a forked process, so that being born again costs no imports. `carry` is what tests and benchmarks call.
"""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Generator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import func, select

from fireside.bootstrap.event_streams import make_event_stream
from fireside.runtime.durable import Database, DurableSettings, event_log
from fireside.runtime.durable.tables import events, inbox, relay_cursors
from fireside.testing.durable import eventually
from fireside.testing.facts import Auditor, Entered, Ledger
from fireside.testing.mesh import local_node
from tests.servers import OwnServer

SETTINGS = DurableSettings(retry_s=0.01, max_retry_s=0.05, poll_s=0.1)
ACCOUNTS = 4
TOGETHER = 5
"""Facts in one transaction."""
AHEAD = 200
"""How many facts the ledger states that the broker has not taken; without a limit it would state facts by the thousand
while a broker starts, and their handling would be all that is waited for."""

Victim = Literal["ledger", "auditor", "broker"]


def database(folder: Path, service: str, **options: Any) -> Database:
    return Database(f"sqlite:///{folder}/{service}.sqlite", service=service, settings=SETTINGS, **options)


def say(what: str, **facts: object) -> None:
    """One line on the output, in one write, so that it is there whole or not at all."""
    os.write(1, (json.dumps({"what": what, **facts}) + "\n").encode())


async def live(role: str, folder: str, url: str, *, first: int, facts: int) -> None:
    """Be one of the services until killed. The ledger states facts, and acknowledges each once it is committed."""
    stream = make_event_stream(url, namespace="carried")
    await stream.open()
    own = database(Path(folder), role, stream=stream)
    service = Ledger(database=own) if role == "ledger" else Auditor(database=own)
    async with local_node(service):
        say("ready")

        async def state(account: int) -> None:
            for start in range(first, first + facts // ACCOUNTS, TOGETHER):
                await eventually(lambda: _few_wait(own), within_s=900.0)
                numbers = range(start, start + TOGETHER)
                async with own.transaction() as unit:
                    for n in numbers:
                        unit.emit(Entered(account=UUID(int=account), n=n))
                say("acknowledged", account=account, numbers=list(numbers))

        await asyncio.gather(*(state(account) for account in range(ACCOUNTS)))
        await asyncio.Event().wait()


async def _few_wait(ledger: Database) -> bool | None:
    stated, taken = func.max(events.c.sequence), func.max(relay_cursors.c.sequence)
    async with ledger.read() as session:
        found = await session.execute(
            select(func.coalesce(stated, 0) - select(func.coalesce(taken, 0)).scalar_subquery())
        )
        return found.scalar_one() <= AHEAD or None


class Program:
    """The lives of one service."""

    def __init__(self, role: Victim, folder: Path, url: str) -> None:
        self._life: dict[str, Any] = {"role": role, "folder": str(folder), "url": url}
        self._pid = 0
        with (folder / f"{role}.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.durability.carried_facts"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    def live(self, *, first: int = 0, facts: int = 0) -> None:
        """Be born, and be ready."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(self._life | {"first": first, "facts": facts}) + "\n")
        self._process.stdin.flush()
        self._pid = self.hear("born")["pid"]
        self.hear("ready")

    def hear(self, *what: str) -> dict[str, Any]:
        """The next line of these kinds; others are passed over."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            said = json.loads(line)
            if said["what"] in what:
                return said
        raise AssertionError("the program ended")

    def kill(self) -> None:
        """SIGKILL the life that is being lived, if it still is."""
        if self._pid:
            with suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)

    def end(self) -> None:
        """End the program, and its life."""
        self.kill()
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(20)
        self._process.stdout.close()


@dataclass
class Outcome:
    """What was counted.

    Attributes:
        acknowledged: Facts that were committed, and said to be.
        kills: How often each was killed.
        lost: Acknowledged facts that had no effect.
        doubled: Effects beyond one for a fact.
        disordered: Accounts whose effects came in another order than their facts.
        seconds: From the first fact until the last effect.
        recovery_s: From the last fact until the last effect.
    """

    acknowledged: int = 0
    kills: Counter[str] = field(default_factory=Counter[str])
    lost: int = 0
    doubled: int = 0
    disordered: int = 0
    seconds: float = 0.0
    recovery_s: float = 0.0


@contextmanager
def programs(folder: Path, url: str) -> Generator[tuple[Program, Program]]:
    with ExitStack() as stack:
        ledger, auditor = Program("ledger", folder, url), Program("auditor", folder, url)
        stack.callback(ledger.end)
        stack.callback(auditor.end)
        yield ledger, auditor


def carry(server: OwnServer, folder: Path, url: str, *, facts: int, kills: list[Victim], seed: int) -> Outcome:
    """State at least so many facts, kill at random moments meanwhile, and compare facts with effects.

    Args:
        server: The broker.
        folder: For the databases of the two services.
        url: Of the stream.
        facts: How many shall be acknowledged.
        kills: Who is killed, in any order.
        seed: Of the moments and the order.
    """
    chance, outcome = random.Random(seed), Outcome()
    moments = sorted(chance.sample(range(1, facts // TOGETHER), len(kills)))
    plan = list(zip(moments, chance.sample(kills, len(kills)), strict=True))
    acknowledged = list[tuple[int, int]]()
    began = time.monotonic()
    with programs(folder, url) as (ledger, auditor):
        auditor.live()
        ledger.live(first=0, facts=facts)
        server.settle()
        dying = False
        while len(acknowledged) < facts or plan:
            said = ledger.hear("acknowledged", "died")
            if said["what"] == "died":
                dying = False
                ledger.live(first=1_000_000 * outcome.kills["ledger"], facts=facts)
                continue
            acknowledged += [(said["account"], n) for n in said["numbers"]]
            while plan and not dying and len(acknowledged) >= plan[0][0] * TOGETHER:
                _, victim = plan.pop(0)
                outcome.kills[victim] += 1
                _kill(victim, server, ledger, auditor)
                dying = victim == "ledger"
        stated = time.monotonic()
        ledger.kill()
        ledger.hear("died")
        ledger.live()
        entered, audited = asyncio.run(_facts_and_effects(folder))
        outcome.seconds, outcome.recovery_s = time.monotonic() - began, time.monotonic() - stated
    outcome.acknowledged = len(acknowledged)
    return _compared(outcome, acknowledged, entered, audited)


def _kill(victim: Victim, server: OwnServer, ledger: Program, auditor: Program) -> None:
    if victim == "broker":
        server.kill()
        server.start()
    elif victim == "auditor":
        auditor.kill()
        auditor.hear("died")
        auditor.live()
    else:
        ledger.kill()


_Entries = list[tuple[int, int]]


def _compared(outcome: Outcome, acknowledged: _Entries, entered: _Entries, audited: _Entries) -> Outcome:
    outcome.lost = len(set(acknowledged) - set(audited))
    outcome.doubled = len(audited) - len(set(audited))
    for account in range(ACCOUNTS):
        facts = [n for a, n in entered if a == account]
        outcome.disordered += facts != [n for a, n in audited if a == account]
    return outcome


async def _facts_and_effects(folder: Path) -> tuple[_Entries, _Entries]:
    """All facts and all effects, each in the order of its log, once every fact has had its effect."""
    ledger, auditor = database(folder, "ledger"), database(folder, "auditor")
    await ledger.open()
    await auditor.open()
    try:

        async def all_handled() -> bool | None:
            await asyncio.sleep(0.1)
            async with ledger.read() as session:
                stated = (await session.execute(select(func.count()).select_from(events))).scalar_one()
            async with auditor.read() as session:
                query = select(func.count()).where(inbox.c.state == "handled")
                return (await session.execute(query)).scalar_one() >= stated or None

        await eventually(all_handled, within_s=900.0)
        for each in (ledger, auditor):
            assert await each.verify_chain() is None
        return await _log(ledger), await _log(auditor)
    finally:
        await ledger.close()
        await auditor.close()


async def _log(service: Database) -> _Entries:
    async with service.read() as session:
        entries = await event_log.read(session, after=0, limit=10_000_000)
    payloads = [json.loads(entry.payload) for entry in entries]
    return [(UUID(payload["account"]).int, payload["n"]) for payload in payloads]


def main() -> None:
    """Live one life after another."""
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            sys.stdout = sys.stderr  # for logs; what is said goes to the descriptor
            options = json.loads(line)
            places = [options.pop(name) for name in ("role", "folder", "url")]
            asyncio.run(live(*places, **options))
            os._exit(0)
        say("born", pid=child)
        _, status = os.waitpid(child, 0)
        say("died", status=status)


if __name__ == "__main__":
    main()
