import asyncio

import pytest

from fireside.runtime.middleware.deadlines import SLOT_S, Deadlines, WaitsDeadline


@pytest.fixture
async def deadlines() -> Deadlines:
    return Deadlines(asyncio.get_running_loop())


@pytest.mark.parametrize("seconds", [0.0, 0.01, SLOT_S * 1.5])
async def test_a_block_is_cancelled_when_its_time_is_up_and_not_before(deadlines: Deadlines, seconds: float) -> None:
    began = deadlines.loop.time()

    with pytest.raises(TimeoutError), deadlines.within(seconds) as deadline:
        await asyncio.Event().wait()

    took = deadlines.loop.time() - began
    assert deadline.expired
    assert seconds - 0.002 <= took < seconds + SLOT_S


async def test_a_block_that_ends_in_time_is_left_alone(deadlines: Deadlines) -> None:
    with deadlines.within(0.01) as short:
        await asyncio.sleep(0)
    with pytest.raises(TimeoutError), deadlines.within(SLOT_S * 1.5):  # the first one's time passes meanwhile
        await asyncio.Event().wait()

    assert not short.expired


async def test_a_cancellation_from_outside_stays_one(deadlines: Deadlines) -> None:
    entered = asyncio.Event()

    async def wait() -> None:
        with deadlines.within(60):
            entered.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(wait())
    await entered.wait()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_another_error_goes_through(deadlines: Deadlines) -> None:
    with pytest.raises(KeyError), deadlines.within(60):
        raise KeyError


async def test_deadlines_of_one_moment_end_each_its_own_task(deadlines: Deadlines) -> None:
    async def wait() -> str:
        try:
            with deadlines.within(0.01):
                await asyncio.Event().wait()
        except TimeoutError:
            return "late"
        return "in time"

    assert await asyncio.gather(*(wait() for _ in range(3))) == ["late"] * 3


async def _wait_within(deadline: WaitsDeadline) -> bool:
    """Wait for ever; whether it was the deadline that ended it."""
    deadline.begin_wait()
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        return deadline.cut_wait_short()
    finally:
        deadline.end_wait()
    return False


async def test_a_wait_is_cut_short_in_whichever_task_it_is(deadlines: Deadlines) -> None:
    with deadlines.waits_within(0.01) as deadline:
        assert await asyncio.create_task(_wait_within(deadline))
        assert deadline.expired


async def test_between_waits_nobody_is_cancelled(deadlines: Deadlines) -> None:
    with deadlines.waits_within(0.01) as deadline:
        deadline.begin_wait()
        deadline.end_wait()
        while not deadline.expired:
            await asyncio.sleep(0.01)

    assert deadline.expired


async def test_a_wait_that_somebody_else_cancels_was_not_cut_short(deadlines: Deadlines) -> None:
    with deadlines.waits_within(60) as deadline:
        waiting = asyncio.create_task(_wait_within(deadline))
        await asyncio.sleep(0)
        waiting.cancel()
        assert not await waiting
