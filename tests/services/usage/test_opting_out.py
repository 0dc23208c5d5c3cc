"""Users who opted out are in the sums of everybody, and not shown by name."""

from collections.abc import AsyncIterator

import pytest

from fireside.adapters.usage_counters.memory import MemoryUsageCounters
from fireside.contracts import usage
from fireside.contracts.usage import OPTED_OUT
from fireside.core.clock import SystemClock
from fireside.core.errors import UnauthenticatedError
from fireside.core.identity import Identity, service_identity
from fireside.core.ids import ApiKeyId, new_id
from fireside.runtime.metering import LimitExceededError
from tests.databases import BOTH, database_fixture
from tests.runtime.metering.houses import MIGRATIONS, MeteredHouse, limit, metered_house, person

database_url = database_fixture("usage", MIGRATIONS, technologies=BOTH)
KEY, OTHER_KEY = ApiKeyId(new_id()), ApiKeyId(new_id())
ANN, BEN, EVE = person("user", key=KEY), person("user"), person("user", key=OTHER_KEY)


@pytest.fixture
async def house(database_url: str) -> AsyncIterator[MeteredHouse]:
    """Ann used three requests on two days, Ben two, Eve one; Ann and Ben have opted out."""
    async with metered_house(database_url, MemoryUsageCounters(SystemClock())) as house:
        for who in (ANN, ANN, BEN, EVE):
            await house.ask(who=who)
        house.clock.pass_time(days=1)
        for who in (ANN, BEN):
            await house.ask(who=who)
            await opt(house, who)
        yield house


async def opt(house: MeteredHouse, who: Identity, *, out: bool = True) -> None:
    asked = usage.OptOut(opted_out=out)
    assert await house.node.context(identity=who).call(usage.OPT_OUT, asked) == asked


async def groups(house: MeteredHouse, by: str) -> dict[str, int]:
    return {item.group: item.requests for item in (await house.report(by)).items}


@pytest.mark.requirement("I15")
async def test_who_opted_out_is_shown_together_and_sums_stay_whole(house: MeteredHouse) -> None:
    assert await groups(house, "user") == {OPTED_OUT: 5, str(EVE.user_id): 1}
    assert await groups(house, "key") == {OPTED_OUT: 5, str(OTHER_KEY): 1}
    assert await groups(house, "model") == {"small": 6}
    assert await groups(house, "day") == {"2026-03-01": 4, "2026-03-02": 2}
    assert [(await house.report(by)).total.requests for by in ("user", "key", "model", "day")] == [6, 6, 6, 6]


@pytest.mark.requirement("I15")
async def test_who_opted_out_sees_their_own_and_can_be_shown_again(house: MeteredHouse) -> None:
    own, key = await house.own(ANN), await house.own(ANN, group_by="key")
    assert (own.opted_out, own.total.requests) == (True, 3)
    assert [item.group for item in key.items] == [str(KEY)]
    assert not (await house.own(EVE)).opted_out

    for _ in range(2):
        await opt(house, ANN)
    await opt(house, ANN, out=False)

    assert await groups(house, "user") == {str(ANN.user_id): 3, OPTED_OUT: 2, str(EVE.user_id): 1}
    assert not (await house.own(ANN)).opted_out


@pytest.mark.requirement("P19")
async def test_limits_hold_for_who_opted_out(house: MeteredHouse) -> None:
    house.limit(limit("user", 4, unit="requests", window="month"))

    await house.ask(who=ANN)
    with pytest.raises(LimitExceededError):
        await house.ask(who=ANN)


async def test_a_part_of_fireside_opts_nobody_out(house: MeteredHouse) -> None:
    with pytest.raises(UnauthenticatedError):
        await house.node.context(identity=service_identity("chat")).call(usage.OPT_OUT, usage.OptOut(opted_out=True))
