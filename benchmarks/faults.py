"""A whole cluster under load whose parts are killed, paused and cut off one after the other, and what came of it.

Run `python -m benchmarks faults`. Starts brokers of its own and a database on the PostgreSQL server of the tests. Goal:
nothing lost, nothing doubled, every failure clear, and none once a dead node of two is known to be gone.
"""

import asyncio
import tempfile
from pathlib import Path

from tests.faults.faults import FAULTS, Outcome, suffer
from tests.faults.setting import whole_setting
from tests.postgresql import SERVER, PostgresqlServer


def main() -> None:
    """Print a row for each fault."""
    with (
        tempfile.TemporaryDirectory(prefix="fireside-") as folder,
        whole_setting(Path(folder), PostgresqlServer(SERVER)) as setting,
    ):
        print("| fault | answered | failed, not clear | failed late | lost | doubled | all well after |")
        print("|---|---|---|---|---|---|---|")
        for fault in FAULTS:
            outcome = asyncio.run(suffer(setting, fault))
            late = str(len(outcome.late)) if fault.spared else "-"
            print(f"| {fault.name} | {_counts(outcome)} | {late} | {_effects(outcome)} |", flush=True)


def _counts(outcome: Outcome) -> str:
    return f"{outcome.counts['answered']} | {outcome.failed}, {len(outcome.unclear)}"


def _effects(outcome: Outcome) -> str:
    return f"{len(outcome.lost)} | {len(outcome.doubled)} | {outcome.recovery_s:.1f} s"


if __name__ == "__main__":
    main()
