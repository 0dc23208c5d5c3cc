"""What one hop between two nodes costs, with Fireside and with Moleculer.js on the same broker in the same run.

Run `python -m benchmarks.mesh [nats|redis|amqp ...]`; NATS when none is named. Each system has two processes, the
caller on one core and the callee on the other; in each round each measurement is taken with both, in shuffled order.
Fireside's calls pass the whole chain of middleware and carry a signed identity; Moleculer's broker is as it comes. The
processor time of both nodes for one call, event or chunk says the same on a machine that is not quiet.
Goals, as shares of Moleculer.js: calls/s at 1, 16 and 64 callers 0.95, 0.7 and 0.6; p99 at 16 callers at most 1.0;
chunks/s of a stream 0.7. Over NATS a pair without any framework makes the same calls: more than its share no Python
program can reach on the machine at hand.
"""

import argparse
import asyncio
import json
import os
import random
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any
from uuid import uuid4

import pytest
from tests.brokers import SHARED, remove_exchanges, shared_broker
from tests.interop.node_program import node_modules

from benchmarks.paired import Interval, interval, quality_of_run
from benchmarks.serving import CLIENT_CORE, SERVER_CORE, pin

ROUNDS, WARM_UP = 15, 2
SECONDS = 0.35
SEED = 7
MEASUREMENTS: Mapping[str, dict[str, Any]] = {
    "calls, 1 caller": {"measure": "calls", "callers": 1, "seconds": SECONDS},
    "calls, 16 callers": {"measure": "calls", "callers": 16, "seconds": SECONDS},
    "calls, 64 callers": {"measure": "calls", "callers": 64, "seconds": SECONDS},
    "balanced events": {"measure": "events", "batch": 800, "seconds": SECONDS},
    "chunks of a stream": {"measure": "chunks", "batch": 2000, "seconds": SECONDS},
    "a token every 5 ms": {"measure": "tokens", "count": 60, "pause_ms": 5.0},
}
GOALS = {
    ("calls, 1 caller", "rate"): 0.95,
    ("calls, 16 callers", "rate"): 0.7,
    ("calls, 16 callers", "p99"): 1.0,
    ("calls, 64 callers", "rate"): 0.6,
    ("chunks of a stream", "rate"): 0.7,
}
UNITS = {"rate": "/s", "p50": "p50, ms", "p99": "p99, ms", "cpu": "processor time of both nodes, us"}

Found = dict[tuple[str, str], list[float]]
"""What was measured in each round, by measurement and figure."""


class Pair:
    """A caller and a callee of one system, each a process on a core of its own."""

    def __init__(self, command: Sequence[str], url: str, environment: Mapping[str, str]) -> None:
        self._url, self._namespace = url, f"bench-{uuid4().hex[:12]}"
        self._processes = [
            self._start([*command, role, url, self._namespace], core, environment)
            for role, core in (("callee", SERVER_CORE), ("caller", CLIENT_CORE))
        ]
        self._caller = self._processes[-1]
        self.found: Found = defaultdict(list)

    def measure(self, name: str, *, counts: bool) -> None:
        """Take one of MEASUREMENTS; note what was found if it counts."""
        assert self._caller.stdin is not None
        self._caller.stdin.write(json.dumps(MEASUREMENTS[name]) + "\n")
        used_us = -self._processor_us()
        self._caller.stdin.flush()
        figures: dict[str, float] = _answer_of(self._caller)
        used_us += self._processor_us()
        figures["cpu"] = used_us / figures.pop("count")
        if counts:
            for figure, value in figures.items():
                self.found[name, figure].append(value)

    def stop(self) -> None:
        """Have both leave, and leave nothing on the broker."""
        for process in reversed(self._processes):
            process.communicate(timeout=30)
        asyncio.run(remove_exchanges(self._url, self._namespace))

    def _processor_us(self) -> float:
        threads = [thread for process in self._processes for thread in Path(f"/proc/{process.pid}/task").iterdir()]
        return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1000

    def _start(self, command: Sequence[str], core: int, environment: Mapping[str, str]) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            command,
            env=os.environ | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: pin(core),
        )
        _answer_of(process)
        return process


def _answer_of(process: "subprocess.Popen[str]") -> Any:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise SystemExit(f"a node has ended with {process.wait()}")
    return json.loads(line)


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of one measurement in both systems."""

    name: str
    figure: str
    ours: float
    theirs: float
    ratio: Interval

    def __str__(self) -> str:
        goal = GOALS.get((self.name, self.figure))
        sign = ">=" if self.figure == "rate" else "<="
        digits = {"rate": 0, "cpu": 1}.get(self.figure, 3)
        shown = [f"{value:,.{digits}f}" for value in (self.ours, self.theirs)]
        wanted = "" if goal is None else f"{sign} {goal}"
        return f"| {self.name}, {UNITS[self.figure]} | {shown[0]} | {shown[1]} | {self.ratio} | {wanted} |"


@contextmanager
def _pairs(url: str) -> Generator[Mapping[str, Pair]]:
    node = shutil.which("node")
    here = Path(__file__).parent
    with ExitStack() as stack:
        pairs = {
            "fireside": Pair([sys.executable, "-m", "benchmarks.mesh_nodes"], url, {}),
            "moleculer": Pair([str(node), str(here / "mesh_nodes.js")], url, {"NODE_PATH": str(node_modules())}),
        }
        if url.startswith("nats:"):
            pairs["bare"] = Pair([sys.executable, "-m", "benchmarks.mesh_bare"], url, {})
        for pair in pairs.values():
            stack.callback(pair.stop)
        yield pairs


def measure(url: str, *, rounds: int) -> Mapping[str, Found]:
    """What Fireside, Moleculer.js and, of calls over NATS, a bare driver do over one broker."""
    chance = random.Random(SEED)
    with _pairs(url) as pairs:
        for round_ in range(WARM_UP + rounds):
            for name in MEASUREMENTS:
                for system in chance.sample(list(pairs), len(pairs)):
                    if system != "bare" or name.startswith("calls"):
                        pairs[system].measure(name, counts=round_ >= WARM_UP)
        return {system: pair.found for system, pair in pairs.items()}


def rows(ours: Found, theirs: Found) -> Sequence[Row]:
    """All figures, compared round by round."""
    return [
        Row(name, figure, median(values), median(other), interval([a / b for a, b in zip(values, other, strict=True)]))
        for (name, figure), values in ours.items()
        for other in [theirs[name, figure]]
    ]


def main() -> None:
    """Print a table for each broker."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mesh")
    parser.add_argument("brokers", nargs="*", metavar="broker", help=f"of {', '.join(SHARED)}; nats when none is given")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="two or more")
    options = parser.parse_args()
    for broker in options.brokers or ["nats"]:
        try:
            node_modules()
            found = measure(shared_broker(broker), rounds=options.rounds)
        except pytest.skip.Exception as reason:
            print(f"not measured: {reason}")
            continue
        theirs = found["moleculer"]
        print(f"\n| between two nodes on {broker} | Fireside | Moleculer.js | ratio | goal |\n|---|---|---|---|---|")
        for row in rows(found["fireside"], theirs):
            print(row)
        if "bare" in found:
            print("\n| nats-py with orjson and no framework | bare | Moleculer.js | ratio |\n|---|---|---|---|")
            for row in rows(found["bare"], theirs):
                print(str(row).rsplit("|", 2)[0] + "|")
        print(quality_of_run(theirs["calls, 16 callers", "rate"]), flush=True)


if __name__ == "__main__":
    main()
