"""Each part of a cluster is struck in turn under load: nothing is lost, nothing doubled, every failure is clear."""

import pytest

from tests.faults.faults import FAULTS_OF_A_CLUSTER, PARTED, Fault, Outcome, suffer
from tests.faults.setting import ClusterSetting
from tests.needs import need

pytestmark = [pytest.mark.xdist_group("faults"), pytest.mark.timeout(240)]


def assert_harmless(outcome: Outcome) -> None:
    """What must hold whatever was struck."""
    assert outcome.lost == ()
    assert outcome.doubled == ()
    assert outcome.unclear == ()
    assert outcome.late == ()
    assert outcome.counts["answered"]


@pytest.mark.requirement("P3", "P9", "P15", "P18", "P20")
@pytest.mark.parametrize("fault", FAULTS_OF_A_CLUSTER, ids=lambda fault: fault.name.replace(" ", "-"))
async def test_nothing_is_lost_or_doubled_and_every_failure_is_clear(
    setting: ClusterSetting, fault: Fault[ClusterSetting]
) -> None:
    assert_harmless(await suffer(setting, fault))


@pytest.mark.requirement("P3", "P9", "P15", "P18", "P20")
async def test_a_machine_parted_from_all_others_does_no_harm_when_it_is_back(setting: ClusterSetting) -> None:
    need(setting.machine is not None, "the right to make network namespaces (root), and the program ip")

    assert_harmless(await suffer(setting, PARTED))
