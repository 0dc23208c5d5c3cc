"""The log of an answer that is being written."""

import asyncio
from uuid import UUID

import pytest

from fireside.contracts.answer import Done, Token
from fireside.core.ids import MessageId
from fireside.services.chat.running import RunningAnswer
from fireside.services.chat.transcript import events_of
from fireside.testing.conformance.conversation_store import conversation, message, streaming


@pytest.fixture
def running() -> RunningAnswer:
    of = conversation()
    return RunningAnswer(streaming(of, message(of), id=MessageId(UUID(int=9))))


def say(running: RunningAnswer, *words: str) -> None:
    for word in words:
        running.add(Token(text=word))


def test_every_event_is_stored_in_one_batch_alone(running: RunningAnswer) -> None:
    say(running, "a", "b")
    first = running.unsaved_batch()
    assert first is not None
    say(running, "c")
    running.mark_saved(first)
    second = running.unsaved_batch()
    assert second is not None

    assert (first.first_id, first.last_id, second.first_id, second.last_id) == (1, 2, 3, 3)
    assert [event.id for event in events_of(first)] == [1, 2]
    running.mark_saved(second)
    assert running.unsaved_batch() is None
    assert running.unsaved == 0


def test_the_whole_log_with_its_ending_is_one_batch_that_is_not_shown_yet(running: RunningAnswer) -> None:
    say(running, "a", "b")

    batch = running.batch_ending_with([Done()])

    assert [(event.id, event.event.type) for event in events_of(batch)] == [(1, "token"), (2, "token"), (3, "done")]
    assert {event.message_id for event in events_of(batch)} == {running.answer.id}
    assert running.unsaved == 2


async def test_a_follower_gets_what_was_what_comes_and_the_end(running: RunningAnswer) -> None:
    say(running, "a", "b")
    following = asyncio.create_task(_collected(running, after=1))
    await asyncio.sleep(0)
    say(running, "c")
    running.end([Done()])

    assert await following == [2, 3, 4]
    assert await _collected(running, after=4) == []


async def _collected(running: RunningAnswer, *, after: int) -> list[int]:
    return [event.id async for event in running.follow(after)]


async def test_a_wish_before_the_first_step_counts_and_the_first_reason_stays(running: RunningAnswer) -> None:
    running.cancel("stopped")
    running.cancel("interrupted")

    with pytest.raises(asyncio.CancelledError), running.cancellable():
        pytest.fail("went on")
    assert running.end_reason == "stopped"


async def test_a_wish_after_the_work_is_done_disturbs_nothing(running: RunningAnswer) -> None:
    with running.cancellable():
        pass
    running.cancel("stopped")
    await asyncio.sleep(0)
    running.end([Done()])
    running.cancel("interrupted")

    assert running.end_reason == "stopped"
