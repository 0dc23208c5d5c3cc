"""Facts carried by a real broker while its server, the publisher and the consumer are killed at random.

Run `python -m benchmarks.faults_facts --broker nats|redis|amqp [--facts 10000] [--kills 50] [--seed 1]`. Starts a
server of its own; every other kill hits the broker. Goal: none lost, none doubled, none out of order.
"""

import argparse
import tempfile
from pathlib import Path

from tests.durability.carried_facts import Outcome, Victim, carry
from tests.servers import NatsServer, OwnServer, RabbitServer, RedisServer, running

BROKERS: dict[str, tuple[type[OwnServer], str]] = {
    "nats": (NatsServer, "?take_over_s=1"),
    "redis": (RedisServer, "?take_over_s=1"),
    "amqp": (RabbitServer, ""),
}

MEMORY = "/dev/shm"


def measure(broker: str, *, facts: int, kills: int, seed: int) -> Outcome:
    """Carry so many facts over a server of one kind while something is killed so often."""
    kind, options = BROKERS[broker]
    victims: list[Victim] = ["broker", "ledger", "broker", "auditor"]
    # a killed process leaves what it wrote to the system, on a disk or not, so syncs need not be waited for
    place = MEMORY if Path(MEMORY).is_dir() else None
    with tempfile.TemporaryDirectory(prefix="fireside-", dir=place) as folder, running(kind(Path(folder))) as server:
        chosen = [victims[n % len(victims)] for n in range(kills)]
        return carry(server, Path(folder), server.url + options, facts=facts, kills=chosen, seed=seed)


def main() -> None:
    """Print a row for each broker."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults_facts")
    parser.add_argument("--broker", choices=sorted(BROKERS), action="append", help="may be repeated; all by default")
    parser.add_argument("--facts", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    print("| broker | facts | kills: broker, publisher, consumer | lost | doubled | out of order | s | recovery s |")
    print("|---|---|---|---|---|---|---|---|")
    for broker in options.broker or sorted(BROKERS):
        found = measure(broker, facts=options.facts, kills=options.kills, seed=options.seed)
        kills = ", ".join(str(found.kills[victim]) for victim in ("broker", "ledger", "auditor"))
        counts = f"{found.lost} | {found.doubled} | {found.disordered}"
        spans = f"{found.seconds:.0f} | {found.recovery_s:.1f}"
        print(f"| {broker} | {found.acknowledged} | {kills} | {counts} | {spans} |", flush=True)


if __name__ == "__main__":
    main()
