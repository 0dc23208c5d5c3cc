"""Facts between processes over a real broker: SIGKILL of any of them loses no fact and doubles no effect."""

from pathlib import Path

import pytest

from tests.durability.carried_facts import Outcome, Victim, carry
from tests.servers import NatsServer, OwnServer, RabbitServer, RedisServer, running


def assert_nothing_lost_and_nothing_doubled(outcome: Outcome, *, facts: int) -> None:
    assert outcome.acknowledged >= facts
    assert (outcome.lost, outcome.doubled, outcome.disordered) == (0, 0, 0)


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(NatsServer, id="nats", marks=pytest.mark.requirement("P10")),
        pytest.param(RedisServer, id="redis"),
    ],
)
@pytest.mark.requirement("P15")
def test_kills_at_random_lose_no_fact_and_double_no_effect(tmp_path: Path, kind: type[OwnServer]) -> None:
    kills: list[Victim] = ["ledger"] * 3 + ["auditor"] * 3 + ["broker"] * 4
    with running(kind(tmp_path)) as server:
        outcome = carry(server, tmp_path, f"{server.url}?take_over_s=1", facts=200, kills=kills, seed=20260104)
    assert_nothing_lost_and_nothing_doubled(outcome, facts=200)
    assert outcome.kills == {"ledger": 3, "auditor": 3, "broker": 4}


@pytest.mark.requirement("P8")
@pytest.mark.requirement("P15")
def test_kills_at_random_lose_no_fact_on_rabbitmq(tmp_path: Path) -> None:
    kills: list[Victim] = ["ledger"] * 2 + ["auditor"] * 2 + ["broker"]
    with running(RabbitServer(tmp_path)) as server:
        outcome = carry(server, tmp_path, server.url, facts=200, kills=kills, seed=20260105)
    assert_nothing_lost_and_nothing_doubled(outcome, facts=200)
    assert outcome.kills == {"ledger": 2, "auditor": 2, "broker": 1}
