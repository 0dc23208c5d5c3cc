"""What all usage counters must do. Inherit `UsageCountersConformance`; give the fixtures `counters` and `wait`."""

import asyncio
from collections.abc import Awaitable, Callable

from fireside.ports.usage_counters import Claim, Level, Reserved, Settlement, UsageCounters

Wait = Callable[[float], Awaitable[None]]

HOUR_S = 3600.0


class UsageCountersConformance:
    """Behaviour that limits rely on.

    The subclass gives the fixtures `counters`, with nothing counted, and `wait`, a coroutine function that lets so many
    seconds pass for them.
    """

    async def test_nothing_is_held_on_a_counter_that_nobody_has_seeded(self, counters: UsageCounters) -> None:
        await counters.seed("a", 0, ttl_s=HOUR_S)

        found = await counters.reserve("1", [Claim("a", 1, 5), Claim("b", 1, 5)], lease_s=60)

        assert found == Reserved(unknown=("b",))
        assert await counters.look(["a", "b"]) == [Level(0, 0), None]

    async def test_a_counter_that_is_seeded_again_counts_no_less_and_keeps_what_is_held(
        self, counters: UsageCounters
    ) -> None:
        await counters.seed("a", 7, ttl_s=HOUR_S)
        await counters.reserve("1", [Claim("a", 2, 50)], lease_s=60)
        await counters.seed("a", 5, ttl_s=HOUR_S)
        assert await counters.look(["a"]) == [Level(7, 2)]

        await counters.seed("a", 9, ttl_s=HOUR_S)
        assert await counters.look(["a"]) == [Level(9, 2)]

    async def test_one_full_counter_holds_nothing_on_the_others(self, counters: UsageCounters) -> None:
        await counters.seed("a", 0, ttl_s=HOUR_S)
        await counters.seed("b", 4, ttl_s=HOUR_S)

        found = await counters.reserve("1", [Claim("a", 1, 5), Claim("b", 2, 5)], lease_s=60)

        assert found == Reserved(full=(("b", Level(4, 0)),))
        assert await counters.look(["a", "b"]) == [Level(0, 0), Level(4, 0)]

    async def test_what_is_settled_replaces_what_was_held(self, counters: UsageCounters) -> None:
        await counters.seed("a", 0, ttl_s=HOUR_S)
        await counters.reserve("1", [Claim("a", 50, 100)], lease_s=60)
        await counters.settle("1", [Settlement("a", held=50, used=20)])

        assert await counters.look(["a"]) == [Level(20, 0)]

    async def test_a_call_may_have_used_more_than_was_held(self, counters: UsageCounters) -> None:
        await counters.seed("a", 0, ttl_s=HOUR_S)
        await counters.reserve("1", [Claim("a", 50, 100)], lease_s=60)
        await counters.settle("1", [Settlement("a", held=50, used=120)])

        found = await counters.reserve("2", [Claim("a", 0, 100)], lease_s=60)

        assert found == Reserved(full=(("a", Level(120, 0)),))

    async def test_settling_twice_counts_once(self, counters: UsageCounters) -> None:
        await counters.seed("a", 0, ttl_s=HOUR_S)
        await counters.reserve("1", [Claim("a", 5, 100)], lease_s=60)
        for _ in range(2):
            await counters.settle("1", [Settlement("a", held=5, used=3)])

        assert await counters.look(["a"]) == [Level(3, 0)]

    async def test_reserving_twice_holds_once(self, counters: UsageCounters) -> None:
        await counters.seed("a", 0, ttl_s=HOUR_S)
        for _ in range(2):
            assert await counters.reserve("1", [Claim("a", 5, 5)], lease_s=60) == Reserved()

        assert await counters.look(["a"]) == [Level(0, 5)]

    async def test_a_counter_that_is_lost_stays_unknown_when_a_call_ends(self, counters: UsageCounters) -> None:
        await counters.settle("1", [Settlement("a", held=5, used=3)])

        assert await counters.look(["a"]) == [None]

    async def test_what_nobody_settles_is_free_again_and_counts_when_it_is_settled_late(
        self, counters: UsageCounters, wait: Wait
    ) -> None:
        await counters.seed("a", 0, ttl_s=HOUR_S)
        await counters.reserve("1", [Claim("a", 5, 5)], lease_s=0.2)
        await wait(0.3)

        assert await counters.reserve("2", [Claim("a", 5, 5)], lease_s=60) == Reserved()
        await counters.settle("1", [Settlement("a", held=5, used=4)])
        assert await counters.look(["a"]) == [Level(4, 5)]

    async def test_what_nobody_settles_is_free_again_however_long_nobody_looked(
        self, counters: UsageCounters, wait: Wait
    ) -> None:
        await counters.seed("a", 0, ttl_s=HOUR_S)
        await counters.reserve("1", [Claim("a", 5, 5)], lease_s=0.1)
        await wait(0.5)

        assert await counters.look(["a"]) == [Level(0, 0)]
        assert await counters.reserve("2", [Claim("a", 5, 5)], lease_s=60) == Reserved()

    async def test_a_counter_is_forgotten_after_its_time(self, counters: UsageCounters, wait: Wait) -> None:
        await counters.seed("a", 5, ttl_s=0.2)
        await wait(0.3)

        assert await counters.look(["a"]) == [None]

    async def test_the_counters_of_a_group_are_forgotten_with_what_is_held_and_no_others(
        self, counters: UsageCounters
    ) -> None:
        for key, groups in (("a", ["ann"]), ("b", ["day", "ann"]), ("c", ["bob", "day"]), ("d", [])):
            await counters.seed(key, 7, ttl_s=HOUR_S, groups=groups)
        await counters.reserve("1", [Claim("a", 1, 50), Claim("c", 1, 50)], lease_s=60)
        for _ in range(2):
            await counters.forget("ann")

        assert await counters.look(["a", "b", "c", "d"]) == [None, None, Level(7, 1), Level(7, 0)]
        await counters.settle("1", [Settlement("a", held=1, used=1), Settlement("c", held=1, used=1)])
        await counters.seed("a", 0, ttl_s=HOUR_S)
        assert await counters.look(["a", "c"]) == [Level(0, 0), Level(8, 0)]

    async def test_a_burst_never_holds_more_than_the_limit(self, counters: UsageCounters) -> None:
        await counters.seed("tokens", 10, ttl_s=HOUR_S)
        await counters.seed("requests", 0, ttl_s=HOUR_S)

        def ask(number: int) -> Awaitable[Reserved]:
            claims = [Claim("tokens", 7, 100), Claim("requests", 1, 50)]
            return counters.reserve(str(number), claims, lease_s=60)

        answers = await asyncio.gather(*(ask(number) for number in range(60)))

        assert sum(answer == Reserved() for answer in answers) == 12
        assert await counters.look(["tokens", "requests"]) == [Level(10, 84), Level(0, 12)]
