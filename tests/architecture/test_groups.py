"""Tests that share a server run on one worker: else every worker starts each of them."""

import pytest


@pytest.mark.xdist_group("together")
def test_the_group_of_a_test_reaches_who_hands_out_tests(request: pytest.FixtureRequest) -> None:
    if not request.config.getoption("loadgroup", default=False):
        pytest.skip("all tests run in one process")
    assert request.node.nodeid.endswith("@together")
