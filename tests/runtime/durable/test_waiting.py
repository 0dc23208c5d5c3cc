import asyncio
from itertools import pairwise

import pytest

from fireside.core.errors import InvalidInputError
from fireside.runtime.durable import Database
from fireside.runtime.durable.backoff import retry_delay_s
from fireside.runtime.durable.error_facts import error_facts
from fireside.runtime.durable.wakeups import Wakeups, wait_at_most


def test_the_wait_doubles_with_every_attempt_up_to_the_longest() -> None:
    waits = [retry_delay_s(attempt, first_s=1.0, longest_s=300.0, spread=1.0) for attempt in range(1, 12)]
    assert waits == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 300.0, 300.0]
    assert retry_delay_s(100_000, first_s=1.0, longest_s=300.0, spread=1.0) == 300.0


def test_waits_are_spread_over_the_second_half() -> None:
    waits = sorted(retry_delay_s(3, first_s=1.0, longest_s=300.0) for _ in range(200))
    assert waits[0] >= 2.0
    assert waits[-1] <= 4.0
    assert max(later - earlier for earlier, later in pairwise(waits)) < 0.5


def test_listeners_hear_of_their_kind_of_work_until_they_leave() -> None:
    heard: list[str] = []
    wakeups = Wakeups()

    def listener() -> None:
        heard.append("jobs")

    wakeups.listen("jobs", listener)
    wakeups.wake("jobs")
    wakeups.wake("events")
    wakeups.forget("jobs", listener)
    wakeups.forget("jobs", listener)
    wakeups.wake("jobs")
    assert heard == ["jobs"]


async def test_a_wait_ends_when_woken_or_when_it_is_over() -> None:
    wake = asyncio.Event()
    await wait_at_most(wake, 0.001)
    wake.set()
    await wait_at_most(wake, 3600.0)


async def test_a_wait_that_is_cancelled_as_it_is_woken_is_cancelled() -> None:
    wake = asyncio.Event()
    waiting = asyncio.create_task(wait_at_most(wake, 3600.0))
    await asyncio.sleep(0)
    wake.set()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


def test_of_foreign_errors_only_the_type_is_kept() -> None:
    assert error_facts(RuntimeError("secret"))["message"] == "RuntimeError; the log has the cause"
    assert error_facts(TimeoutError("secret"))["message"] == "TimeoutError; the log has the cause"
    assert error_facts(TimeoutError(), timeout_s=2.5)["message"] == "not done after 2.5 s"
    assert error_facts(InvalidInputError("too long", limit=3))["details"] == {"limit": 3}


@pytest.mark.parametrize(("url", "expected"), [("sqlite:///notes.sqlite", 30.0), ("postgresql://me@db/notes", 2.0)])
def test_work_that_nothing_tells_of_is_looked_for_where_other_nodes_may_have_left_some(
    url: str, expected: float
) -> None:
    assert Database(url, service="notes").look_again_s == expected
