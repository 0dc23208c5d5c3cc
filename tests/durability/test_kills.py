"""Every acknowledged fact is found after SIGKILL, took effect once and in order, and every job ended once."""

import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.durability.program import STEPS

KILLED = signal.SIGKILL


@dataclass
class World:
    """The program, and what it has acknowledged over all its lives."""

    process: "subprocess.Popen[str]"
    folder: Path
    acknowledged: list[dict[str, Any]] = field(default_factory=list)
    lives: int = 0

    def live(
        self, *, facts: int = 0, point: str = "", nth: int = 0, kill_after: int | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Live once. Gives how the process ended and its report, if it came to that.

        Args:
            facts: How many to state.
            point: Where it kills itself, the `nth` time that it gets there.
            nth: See above.
            kill_after: Kill it from outside after so many acknowledgements.
        """
        assert self.process.stdin is not None
        self.lives += 1
        life = {"folder": str(self.folder), "facts": facts, "first": self.lives * 1000, "point": point, "nth": nth}
        self.process.stdin.write(json.dumps(life) + "\n")
        self.process.stdin.flush()
        return self._watch(kill_after)

    def _watch(self, kill_after: int | None) -> tuple[int, dict[str, Any]]:
        assert self.process.stdout is not None
        acknowledged, report, pid = 0, dict[str, Any](), 0
        for line in self.process.stdout:
            if not line.startswith("{"):
                continue
            said = json.loads(line)
            if said["what"] == "born":
                pid = said["pid"]
            elif said["what"] == "acknowledged":
                acknowledged += 1
                self.acknowledged.append(said)
            elif said["what"] == "report":
                report = said
            else:
                return os.WTERMSIG(said["status"]) if os.WIFSIGNALED(said["status"]) else 0, report
            if kill_after is not None and pid and acknowledged >= kill_after:
                os.kill(pid, signal.SIGKILL)
                kill_after = None
        raise AssertionError("the program ended")

    def assert_nothing_lost_and_nothing_doubled(self, report: dict[str, Any]) -> None:
        """What the last life found stored agrees with everything acknowledged in all lives."""
        ledger, auditor = report["logs"]["ledger"], report["logs"]["auditor"]
        entered = [(e["account"], e["n"]) for e in ledger if e["topic"] == "ledger.entered"]
        audited = [(e["account"], e["n"]) for e in auditor if e["topic"] == "auditor.audited"]
        acknowledged = {(_account(said), said["n"]) for said in self.acknowledged}

        assert report["broken"] == []
        assert acknowledged <= set(entered)
        assert Counter(entered).most_common(1)[0][1] == 1
        for account in {account for account, _ in entered}:
            assert [n for a, n in audited if a == account] == [n for a, n in entered if a == account]

        finished = Counter(e["job_id"] for e in ledger if e["topic"] == "jobs.finished")
        assert report["states"] == ["succeeded"] * len(entered)
        assert set(finished.values()) == {1}
        assert Counter(e["job"] for e in auditor if e["topic"] == "auditor.ended") == finished
        steps = [(e["entry"], e["step"]) for e in ledger if e["topic"] == "ledger.stepped"]
        done = [result["entry"] for result in report["results"]]
        assert {said["entry"] for said in self.acknowledged} <= set(done)
        assert sorted(steps) == sorted((entry, step) for entry in done for step in range(STEPS))


def _account(said: dict[str, Any]) -> str:
    return f"00000000-0000-0000-0000-{said['account']:012d}"


@pytest.fixture(scope="module")
def process() -> Iterator["subprocess.Popen[str]"]:
    program = subprocess.Popen(
        [sys.executable, "-m", "tests.durability.program"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with program:
        yield program
        assert program.stdin is not None
        program.stdin.close()


@pytest.fixture
def world(process: "subprocess.Popen[str]", tmp_path: Path) -> World:
    return World(process, tmp_path)


POINTS = [
    "before commit",
    "after commit",
    "before publish",
    "after publish",
    "facts noted as published",
    "before receive",
    "after receive",
    "fact taken",
    "fact handled",
    "job claimed",
    "job succeeded",
]


@pytest.mark.requirement("P15")
@pytest.mark.parametrize("point", POINTS)
def test_a_kill_at_any_point_loses_nothing_and_doubles_nothing(world: World, point: str) -> None:
    for nth in (1, 3):
        assert world.live(facts=9, point=point, nth=nth)[0] == KILLED
    status, report = world.live(facts=3)
    assert status == 0
    world.assert_nothing_lost_and_nothing_doubled(report)


@pytest.mark.requirement("P8")
@pytest.mark.requirement("P12")
def test_many_kills_at_random_lose_nothing_and_double_nothing(world: World) -> None:
    chance = random.Random(20260102)
    for _ in range(12):
        assert world.live(facts=90, kill_after=chance.randrange(20))[0] == KILLED
    for _ in range(12):
        world.live(facts=3, point=chance.choice(POINTS), nth=chance.randrange(1, 30))
    status, report = world.live(facts=3)
    assert status == 0
    assert len(world.acknowledged) > 100
    world.assert_nothing_lost_and_nothing_doubled(report)
