"""A cluster and a whole node under load, whose parts are killed, paused and cut off in turn, and what came of it.

Run `python -m benchmarks faults`. Starts brokers of its own and a database on the PostgreSQL server of the tests. Goal:
nothing lost, nothing doubled, every failure clear, and none once a dead node of two is known to be gone.
"""

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.faults.faults import FAULTS_OF_A_CLUSTER, FAULTS_OF_A_WHOLE_NODE, PARTED, Fault, Outcome, SettingT, suffer
from tests.faults.setting import cluster_setting, whole_node_setting
from tests.postgresql import SERVER, PostgresqlServer


def main() -> None:
    """Print a row for each fault."""
    print("| fault | answered | failed, not clear | failed late | lost | doubled | all well after |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="fireside-") as folder:
        with cluster_setting(Path(folder, "cluster"), PostgresqlServer(SERVER)) as cluster:
            _measure(cluster, (*FAULTS_OF_A_CLUSTER, PARTED))
        with whole_node_setting(Path(folder, "whole")) as whole_node:
            _measure(whole_node, FAULTS_OF_A_WHOLE_NODE)


def _measure(setting: SettingT, faults: Sequence[Fault[SettingT]]) -> None:
    for fault in faults:
        outcome = asyncio.run(suffer(setting, fault))
        late = str(len(outcome.late)) if fault.spared else "-"
        print(f"| {fault.name} | {_counts(outcome)} | {late} | {_effects(outcome)} |", flush=True)


def _counts(outcome: Outcome) -> str:
    return f"{outcome.counts['answered']} | {outcome.failed}, {len(outcome.unclear)}"


def _effects(outcome: Outcome) -> str:
    return f"{len(outcome.lost)} | {len(outcome.doubled)} | {outcome.recovery_s:.1f} s"


if __name__ == "__main__":
    main()
