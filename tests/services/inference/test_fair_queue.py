"""Who gets a place of a model next, on a clock that the tests move."""

import asyncio
import heapq
from collections import Counter
from contextlib import aclosing
from itertools import count

import pytest

from fireside.runtime.errors import OverloadedError
from fireside.services.inference import fair_queue
from fireside.services.inference.fair_queue import FairQueue, Place, Ticket
from tests.services.auth.house import ManualClock


def queue(clock: ManualClock, *, places: int | None = 1, most_waiting: int = 100) -> FairQueue:
    return FairQueue(places=places, most_waiting=most_waiting, clock=clock)


def served(clock: ManualClock, requests: dict[str, int], *, seconds: dict[str, float], places: int) -> Counter[str]:
    """How many seconds of places each user got in 1,000 s, with so many requests always there, each taking so long."""
    line, used, ends = queue(clock, places=places), Counter[str](), list[tuple[float, int, Ticket]]()
    numbers, idle = count(), [line.join(user) for user, many in requests.items() for _ in range(many)]
    while clock.seconds < 2_000:
        for ticket in [ticket for ticket in idle if ticket.began_s is not None]:
            idle.remove(ticket)
            heapq.heappush(ends, (clock.seconds + seconds[str(ticket.user)], next(numbers), ticket))
        end, _, ticket = heapq.heappop(ends)
        clock.seconds = end
        used[str(ticket.user)] += round(seconds[str(ticket.user)])
        idle.append(line.join(ticket.user))
        line.leave(ticket)
    return used


def jain(values: list[int]) -> float:
    return sum(values) ** 2 / (len(values) * sum(value * value for value in values))


@pytest.mark.requirement("I6")
def test_eight_users_get_equal_shares_of_four_places_however_many_requests_they_send() -> None:
    requests = {f"user {number}": number for number in range(1, 9)}
    seconds = dict.fromkeys(requests, 5.0)

    used = served(ManualClock(), requests, seconds=seconds, places=4)

    assert len(used) == 8
    assert jain(list(used.values())) >= 0.95


@pytest.mark.requirement("I6")
def test_long_requests_weigh_more_than_short_ones() -> None:
    used = served(ManualClock(), {"long": 3, "short": 3}, seconds={"long": 20.0, "short": 2.0}, places=1)

    assert jain([used["long"], used["short"]]) >= 0.95


def test_who_has_one_request_goes_before_the_rest_of_anothers_many() -> None:
    clock = ManualClock()
    line = queue(clock)
    running, second, third = line.join("many"), line.join("many"), line.join("many")
    single = line.join("single")
    clock.pass_time(seconds=1)

    line.leave(running)

    assert single.began_s is not None
    line.leave(single)
    assert second.began_s is not None
    assert third.began_s is None


def test_what_nobody_waits_for_goes_last() -> None:
    line = queue(ManualClock())
    running, background, asked = line.join("a"), line.join("b", "background"), line.join("a")

    line.leave(running)

    assert asked.began_s is not None
    assert background.began_s is None


def test_nobody_saves_up_turns_by_staying_away() -> None:
    clock = ManualClock()
    line = queue(clock)
    for _ in range(10):
        with line.join("regular"):
            clock.pass_time(seconds=5)
    running, regular, newcomer = line.join("regular"), line.join("regular"), line.join("new")
    clock.pass_time(seconds=1)
    line.leave(running)
    first = (newcomer.began_s, regular.began_s)
    line.leave(newcomer)

    assert first == (clock.seconds, None)
    assert regular.began_s is not None


async def test_the_wait_tells_how_many_are_ahead_and_how_long_they_take() -> None:
    clock = ManualClock()
    line = queue(clock, places=2)
    for _ in range(50):
        with line.join("before"):
            clock.pass_time(seconds=10)
    running = [line.join("a"), line.join("b")]
    ahead = line.join("c")
    told = list[Place]()

    async def wait() -> None:
        with line.join("d") as ticket:
            async for place in ticket.wait():
                told.append(place)

    waiting = asyncio.create_task(wait())
    await asyncio.sleep(0)
    for ticket in (*running, ahead):
        line.leave(ticket)
        await asyncio.sleep(0)
    await waiting

    assert [place.ahead for place in told] == [1, 0]
    assert told[0].expected_wait_s == pytest.approx(10.0, rel=0.05)


async def test_a_long_wait_is_told_again_so_that_nobody_takes_it_for_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fair_queue, "_TELL_EVERY_S", 0.01)
    line = queue(ManualClock())
    line.join("a")

    with line.join("b") as ticket:
        async with aclosing(ticket.wait()) as places:
            told = [(await anext(places)).ahead for _ in range(3)]

    assert told == [0, 0, 0]


async def test_a_request_that_takes_longer_than_usual_is_expected_to_go_on() -> None:
    clock = ManualClock()
    line = queue(clock)
    line.join("a")
    waiting = line.join("b")
    before = line.place_of(waiting).expected_wait_s
    clock.pass_time(seconds=60)

    assert (before, line.place_of(waiting).expected_wait_s) == (5.0, 60.0)


async def test_who_gives_up_waiting_leaves_the_line() -> None:
    line = queue(ManualClock())
    running = line.join("a")

    async def wait() -> None:
        with line.join("b") as ticket:
            async for _ in ticket.wait():
                pass

    waiting = asyncio.create_task(wait())
    await asyncio.sleep(0)
    last = line.join("c")
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)

    assert line.place_of(last).ahead == 0
    line.leave(running)
    assert last.began_s is not None


def test_a_full_line_refuses_with_the_time_to_come_back() -> None:
    line = queue(ManualClock(), most_waiting=1)
    line.join("a")
    line.join("b")

    with pytest.raises(OverloadedError) as caught:
        line.join("c")

    assert caught.value.retryable
    assert caught.value.details["retry_after_s"] == 5


def test_without_a_number_of_places_nobody_waits() -> None:
    line = queue(ManualClock(), places=None, most_waiting=0)

    assert all(line.join("a").began_s is not None for _ in range(50))
