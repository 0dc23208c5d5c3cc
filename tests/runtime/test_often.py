"""What is asked for again and again: counted, ranked, and remembered from one process to the next."""

from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import TypeAdapter

from fireside.core.clock import Clock
from fireside.runtime.caching import Often
from fireside.testing.mesh import eventually
from tests.services.auth.house import ManualClock


class Notes:
    """Notes in memory."""

    def __init__(self) -> None:
        self.written: Mapping[str, Any] = {}

    def read(self) -> Mapping[str, Any]:
        return self.written

    def write(self, notes: Mapping[str, Any]) -> None:
        self.written = notes


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def often(clock: Clock, notes: Notes | None = None, *, most: int = 10, note_every_s: float = 300.0) -> Often[int]:
    return Often(TypeAdapter(int), most=most, clock=clock, notes=notes, note_every_s=note_every_s)


def ask(asked: Often[int], keys: str) -> None:
    for key in keys:
        asked.note(key, ord(key))


def test_what_came_most_often_is_told_first_and_what_came_once_not_at_all(clock: ManualClock) -> None:
    asked = often(clock)

    ask(asked, "abbcccd")

    assert list(asked.best().items()) == [("c", ord("c")), ("b", ord("b"))]


def test_what_nobody_asked_for_within_a_day_is_expected_no_more(clock: ManualClock) -> None:
    asked = often(clock)
    ask(asked, "aabb")
    clock.pass_time(hours=23)
    ask(asked, "b")

    clock.pass_time(hours=2)

    assert list(asked.best()) == ["b"]


def test_only_so_many_are_remembered_and_those_that_came_often_stay(clock: ManualClock) -> None:
    asked = often(clock, most=2)
    ask(asked, "aaabbb")

    for key in "cdefgh":
        clock.pass_time(seconds=1)
        ask(asked, key)
    ask(asked, "c")  # it was forgotten meanwhile
    asked.forget(lambda value: value == ord("b"))

    assert list(asked.best()) == ["a"]


def test_nothing_is_remembered_where_none_is_wanted(clock: ManualClock) -> None:
    asked = often(clock, most=0)

    ask(asked, "aaa")

    assert asked.best() == {}


def test_what_is_gone_is_forgotten(clock: ManualClock) -> None:
    asked = often(clock)
    ask(asked, "aabb")

    asked.forget(lambda value: value == ord("a"))

    assert list(asked.best()) == ["b"]


async def test_the_next_process_knows_what_was_asked_for_and_counts_on(clock: ManualClock) -> None:
    notes = Notes()
    first, second = often(clock, notes), often(clock, notes)
    await first.start()
    ask(first, "aabbb")
    await first.stop()

    await second.start()
    ask(second, "aa")
    await second.stop()

    assert second.best() == {"a": ord("a"), "b": ord("b")}


async def test_a_process_that_is_killed_has_noted_what_came_a_while_before(clock: ManualClock) -> None:
    notes = Notes()
    killed = often(clock, notes, note_every_s=0.001)
    await killed.start()

    ask(killed, "aa")

    await eventually(lambda: "asked" in notes.written)
    left = Notes()
    left.written = notes.written
    after = often(clock, left)
    await after.start()
    assert after.best() == {"a": ord("a")}
    await after.stop()
    await killed.stop()


@pytest.mark.parametrize("written", [{"asked": [{"key": "a"}]}, {"asked": 7}, {"other": []}])
async def test_notes_that_another_version_wrote_count_as_none(clock: ManualClock, written: dict[str, Any]) -> None:
    notes = Notes()
    notes.written = written
    asked = often(clock, notes)

    await asked.start()
    ask(asked, "aa")

    assert list(asked.best()) == ["a"]
    await asked.stop()
