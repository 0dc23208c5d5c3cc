"""Usage is stored, summed and limited: through the inference service, over SQLite and PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest

from fireside.adapters.usage_counters.memory import MemoryUsageCounters
from fireside.adapters.usage_counters.redis import RedisUsageCounters
from fireside.contracts import usage
from fireside.contracts.answer import Usage
from fireside.contracts.inference import FORWARD, Forward
from fireside.contracts.usage import NANO, RecordUsage, UsageRow
from fireside.core.clock import SystemClock
from fireside.core.errors import ForbiddenError, InvalidInputError, UpstreamError
from fireside.core.identity import service_identity, user_identity
from fireside.core.ids import ApiKeyId, UserId, new_id
from fireside.runtime.metering import LimitExceededError, Price, SharedOrOwnCounters
from tests.databases import database_fixture, on_both_databases
from tests.redis_servers import need_redis
from tests.runtime.metering.houses import MIGRATIONS, MeteredHouse, limit, metered_house, person
from tests.services.auth.house import ManualClock

database_url = database_fixture("usage", MIGRATIONS)
PRICES = {"small": Price(prompt=Decimal(2), completion=Decimal(8))}


@pytest.fixture
async def house(database_url: str) -> AsyncIterator[MeteredHouse]:
    async with metered_house(database_url, MemoryUsageCounters(SystemClock()), prices=PRICES) as house:
        yield house


@on_both_databases
@pytest.mark.requirement("I5", "I15")
async def test_sums_equal_what_was_called(house: MeteredHouse) -> None:
    key = ApiKeyId(new_id())
    ann, bob = person("user"), person("viewer", key=key)
    told = [await house.ask(number, who=(ann, bob)[number % 2]) for number in range(1, 8)]
    house.clock.pass_time(days=1)
    told.append(await house.ask(2, who=bob))

    by_user, by_day = await house.report("user"), await house.report("day")
    by_key, by_model = await house.report("key"), await house.report("model")

    assert sum(usage.total_tokens for usage in told) == 60
    for report in (by_user, by_day, by_key, by_model):
        assert report.total.requests == sum(item.requests for item in report.items) == 8
        assert report.total.prompt_tokens == sum(item.prompt_tokens for item in report.items) == 30
        assert report.total.completion_tokens == 30
        assert report.total.cost == pytest.approx(30 * 2e-6 + 30 * 8e-6)
    assert {item.group: item.requests for item in by_user.items} == {str(ann.user_id): 3, str(bob.user_id): 5}
    assert [(item.group, item.requests) for item in by_day.items] == [("2026-03-01", 7), ("2026-03-02", 1)]
    assert {item.group: item.requests for item in by_key.items} == {"": 3, str(key): 5}
    assert [item.group for item in by_model.items] == ["small"]


@on_both_databases
@pytest.mark.requirement("P19")
async def test_a_limit_is_kept_across_a_restart_and_ends_with_its_window(database_url: str) -> None:
    clock, me = ManualClock(), person()
    for_each = limit("user", 2, unit="requests", window="hour")
    async with metered_house(database_url, MemoryUsageCounters(clock), for_each, clock=clock, me=me) as house:
        await house.ask()
    async with metered_house(database_url, MemoryUsageCounters(clock), for_each, clock=clock, me=me) as house:
        await house.ask()
        with pytest.raises(LimitExceededError) as refused:
            await house.ask()
        assert len(house.model.prompts) == 1
        clock.pass_time(hours=1)
        await house.ask()

    details = refused.value.details
    assert details["retry_after_s"] == 3600
    assert (details["limit"], details["remaining"], details["unit"], details["window"]) == (2, 0, "requests", "hour")
    assert details["resets_at"] == "2026-03-01T13:00:00+00:00"
    assert "the limit of 2 requests each hour for you" in refused.value.message


async def test_room_is_held_for_the_longest_answer_and_given_back(database_url: str) -> None:
    counters = MemoryUsageCounters(SystemClock())
    async with metered_house(database_url, counters, limit("user", 100)) as house:
        house.model.gate = asyncio.Event()
        asking = asyncio.create_task(house.ask(3, max_tokens=60))
        async with asyncio.timeout(10):
            while not house.model.prompts:
                await asyncio.sleep(0.001)

        (meanwhile,) = (await house.own()).limits
        with pytest.raises(LimitExceededError) as refused:
            await house.ask(3, max_tokens=60)
        house.model.gate.set()
        await asking
        (after,) = (await house.own()).limits

    assert meanwhile.used == 0
    assert 60 < meanwhile.reserved < 75
    assert refused.value.details["retry_after_s"] == 5
    assert (after.used, after.reserved, after.remaining) == (6, 0, 94)


@pytest.mark.requirement("P19", "S9")
async def test_limits_of_user_role_key_and_model_hold_each_by_itself(database_url: str) -> None:
    key = ApiKeyId(new_id())
    limits = (
        limit("role", 3, who="viewer", unit="requests"),
        limit("key", 2, unit="requests"),
        limit("all", 5, unit="requests", model="small"),
    )
    async with metered_house(database_url, MemoryUsageCounters(SystemClock()), *limits) as house:
        keyed, ann, bob = person(key=key), person("viewer"), person("viewer")
        await house.ask(who=keyed)
        await house.ask(who=keyed)
        with pytest.raises(LimitExceededError, match="for this API key"):
            await house.ask(who=keyed)
        await house.ask(who=ann)
        await house.ask(who=bob)
        await house.ask(who=ann)
        with pytest.raises(LimitExceededError, match="for all with the role viewer together"):
            await house.ask(who=bob)
        with pytest.raises(LimitExceededError, match="for everybody together with small"):
            await house.ask(who=person())


async def test_a_cost_limit_counts_money(database_url: str) -> None:
    costs = limit("user", 0.000_1, unit="cost", window="month")
    async with metered_house(database_url, MemoryUsageCounters(SystemClock()), costs, prices=PRICES) as house:
        await house.ask(3, max_tokens=3)
        (state,) = (await house.own()).limits
        with pytest.raises(LimitExceededError) as refused:
            await house.ask(3, max_tokens=12)

    assert state.used == pytest.approx(3 * 2e-6 + 3 * 8e-6)
    assert state.remaining == pytest.approx(0.000_1 - state.used)
    assert "0.0001 USD each month" in refused.value.message
    assert refused.value.details["remaining"] == pytest.approx(state.remaining)


async def test_a_call_that_fails_before_it_begins_uses_nothing(database_url: str) -> None:
    async with metered_house(database_url, MemoryUsageCounters(SystemClock()), limit("user", 100)) as house:
        house.model.fail_with = UpstreamError("broken")
        with pytest.raises(UpstreamError):
            await house.ask()
        own = await house.own()

    assert own.total.requests == 0
    assert [(state.used, state.reserved) for state in own.limits] == [(0, 0)]


async def test_a_call_that_breaks_off_counts_what_came(database_url: str) -> None:
    async with metered_house(database_url, MemoryUsageCounters(SystemClock()), limit("user", 100)) as house:
        house.model.fail_with, house.model.fail_after = UpstreamError("broken"), 2
        with pytest.raises(UpstreamError):
            await house.ask(3)
        own = await house.own()

    assert (own.total.requests, own.total.completion_tokens, own.total.estimated_requests) == (1, 2, 1)
    assert own.limits[0].used == own.total.prompt_tokens + 2


async def test_a_reader_who_leaves_early_is_counted(house: MeteredHouse) -> None:
    house.model.pause_s = 0.01
    asking = asyncio.create_task(house.ask(200))
    async with asyncio.timeout(10):
        while not house.model.prompts:
            await asyncio.sleep(0.001)
    await asyncio.sleep(0.05)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    own = await house.own_after(1)

    assert 0 < own.total.completion_tokens < 200
    assert own.total.estimated_requests == 1


async def test_a_limit_that_is_made_while_a_call_is_under_way_counts_it(database_url: str) -> None:
    async with metered_house(database_url, MemoryUsageCounters(SystemClock())) as house:
        house.model.gate = asyncio.Event()
        asking = asyncio.create_task(house.ask(3))
        async with asyncio.timeout(10):
            while not house.model.prompts:
                await asyncio.sleep(0.001)
        house.limit(limit("user", 1, unit="requests"))
        with pytest.raises(LimitExceededError):
            await asyncio.gather(house.ask(max_tokens=1), house.ask(max_tokens=1))
        house.model.gate.set()
        await asking
        own = await house.own()

    assert own.limits[0].used == own.total.requests == 2


async def test_a_batch_that_comes_twice_counts_once(house: MeteredHouse) -> None:
    zeros = dict.fromkeys(("prompt_tokens", "completion_tokens", "cached_tokens", "estimated", "unpriced"), 0)
    row = UsageRow(hour=house.clock.now() - timedelta(hours=1), model="small", requests=1, cost_nano=NANO, **zeros)
    asking = house.node.context(identity=service_identity("inference"))
    for _ in range(2):
        await asking.call(usage.RECORD, RecordUsage(batch="one", rows=(row,)))
    await asking.call(usage.RECORD, RecordUsage(batch="two", rows=(row,)))

    report = await house.report("model")

    assert (report.total.requests, report.total.cost) == (2, 2.0)


async def test_usage_between_two_moments(house: MeteredHouse) -> None:
    await house.ask()
    house.clock.pass_time(hours=3)
    await house.ask()

    asking = house.node.context(identity=house.me)
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    early = await asking.call(usage.REPORT, usage.UsageQuery(since=noon, until=noon + timedelta(hours=1)))

    assert early.total.requests == 1
    with pytest.raises(InvalidInputError):
        await asking.call(usage.REPORT, usage.UsageQuery(since=noon, until=noon - timedelta(hours=1)))


async def test_a_user_sees_only_their_own_and_no_report(house: MeteredHouse) -> None:
    someone = user_identity(UserId(new_id()), roles=["user"], permissions=["models:use"])
    await house.ask()
    await house.ask(who=someone)

    assert (await house.own(someone)).total.requests == 1
    with pytest.raises(ForbiddenError):
        await house.node.context(identity=someone).call(usage.REPORT, usage.UsageQuery())


async def test_a_model_without_a_price_costs_nothing_and_says_so(database_url: str) -> None:
    async with metered_house(database_url, MemoryUsageCounters(SystemClock())) as house:
        await house.ask()
        own = await house.own()

    assert (own.total.cost, own.total.unpriced_requests, own.currency) == (0, 1, "USD")


async def test_bytes_that_pass_through_are_counted(house: MeteredHouse) -> None:
    stream = house.node.context(identity=house.me).stream(
        FORWARD, Forward(path="/v1/chat/completions", model="small", body=b'{"max_tokens": 5}')
    )
    passed = [item async for item in stream]
    own = await house.own()

    assert passed
    assert (own.total.requests, own.total.estimated_requests) == (1, 1)
    assert own.total.prompt_tokens == 6


@pytest.mark.requirement("P19")
async def test_bursts_at_two_nodes_never_exceed_a_limit(database_url: str) -> None:
    prefix, me, clock = f"test-{uuid4().hex}", person(), ManualClock()
    limits = (limit("user", 10, unit="requests"), limit("user", 10_000, unit="tokens"))

    def counters() -> SharedOrOwnCounters:
        shared = RedisUsageCounters(need_redis(), prefix=prefix)
        return SharedOrOwnCounters(shared=shared, own=MemoryUsageCounters(SystemClock()), clock=SystemClock())

    async with (
        metered_house(database_url, counters(), *limits, clock=clock, me=me) as one,
        metered_house(database_url, counters(), *limits, clock=clock, me=me) as two,
    ):
        # both have two places and two that may wait; the rest is refused for that
        answers = await asyncio.gather(*((one, two)[number % 2].ask(2) for number in range(60)), return_exceptions=True)
        for _ in range(20):
            answers += await asyncio.gather(one.ask(2), two.ask(2), return_exceptions=True)
        await two.meter.write()
        own = await one.own()

    assert sum(isinstance(answer, Usage) for answer in answers) == 10
    assert own.total.requests == 10
    assert {state.unit: (state.used, state.reserved) for state in own.limits} == {
        "requests": (10, 0),
        "tokens": (own.total.prompt_tokens + own.total.completion_tokens, 0),
    }


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_a_row_that_the_database_does_not_take_is_refused_for_what_it_says(house: MeteredHouse) -> None:
    now = house.clock.now().replace(minute=0, second=0, microsecond=0)
    counts = dict.fromkeys(("requests", "prompt_tokens", "completion_tokens", "cached_tokens", "cost_nano"), 1)
    good = UsageRow(hour=now, model="m", estimated=0, unpriced=0, **counts)
    too_long = good.model_copy(update={"model": "m" * 201})
    recording = house.node.context(identity=service_identity("test"))

    with pytest.raises(InvalidInputError, match="too long"):
        await recording.call(usage.RECORD, RecordUsage(batch="1", rows=(good, too_long)))
    await recording.call(usage.RECORD, RecordUsage(batch="1", rows=(good,)))

    assert (await house.report("model")).total.requests == 1
