"""What a whole node needs goes away in turn, under load: it goes on, and recovers by itself."""

import pytest

from tests.faults.faults import FAULTS_OF_A_WHOLE_NODE, Fault, suffer
from tests.faults.setting import WholeNodeSetting
from tests.faults.test_faults import assert_harmless

pytestmark = [pytest.mark.xdist_group("faults-whole-node"), pytest.mark.timeout(240)]


@pytest.mark.requirement("P15", "P18", "P20", "D2", "D4")
@pytest.mark.parametrize("fault", FAULTS_OF_A_WHOLE_NODE, ids=lambda fault: fault.name.replace(" ", "-"))
async def test_a_whole_node_outlives_what_it_needs(
    whole_node: WholeNodeSetting, fault: Fault[WholeNodeSetting]
) -> None:
    outcome = await suffer(whole_node, fault)

    assert_harmless(outcome)
    if "RabbitMQ" in fault.name:
        assert outcome.failed == 0
