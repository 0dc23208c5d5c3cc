"""Background tasks end when they are told to."""

import asyncio
import gc

import pytest

from fireside.core.tasks import Tasks, begun, end


async def test_a_loop_ends_that_loses_a_cancellation() -> None:
    answers = asyncio.Queue[asyncio.Future[None]]()

    async def ask_on_and_on() -> None:
        while True:
            answer = asyncio.get_running_loop().create_future()
            answers.put_nowait(answer)
            await asyncio.wait_for(answer, 60)  # as drivers do

    asking = asyncio.create_task(ask_on_and_on())
    (await answers.get()).set_result(None)

    async with asyncio.timeout(30):
        await end(asking, None, within_s=0.01)

    assert asking.cancelled()


async def test_what_tasks_raised_is_of_no_concern() -> None:
    async def fail() -> None:
        raise ValueError("long ago")

    async def fail_at_the_end() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise ValueError("now")

    failed, failing = asyncio.create_task(fail()), asyncio.create_task(fail_at_the_end())
    await asyncio.wait([failed])

    await end(failed, failing)

    assert isinstance(failing.exception(), ValueError)


class Work:
    """Says what it has done; waits for `go` when it is told to."""

    def __init__(self) -> None:
        self.done = list[str]()
        self.go, self.cleaned = asyncio.Event(), asyncio.Event()

    async def do(self, *, waits: bool, fails: bool = False) -> None:
        self.done.append("begun")
        try:
            if waits:
                await self.go.wait()
            if fails:
                raise ValueError("failed")
        except asyncio.CancelledError:
            await self.cleaned.wait()
            self.done.append("cleaned")
            raise
        self.done.append("done")


async def test_work_that_need_not_wait_is_done_at_once() -> None:
    work = Work()

    assert begun(work.do(waits=False)) is None
    assert work.done == ["begun", "done"]


async def test_work_that_waits_is_begun_and_goes_on_where_it_is_awaited() -> None:
    work = Work()

    left = begun(work.do(waits=True))

    assert left is not None
    assert work.done == ["begun"]
    work.go.set()
    await left
    assert work.done == ["begun", "done"]


@pytest.mark.parametrize("waits", [False, True])
async def test_what_work_raises_is_raised_where_it_is_awaited(waits: bool) -> None:
    work = Work()

    left = begun(work.do(waits=waits, fails=True))

    assert left is not None
    work.go.set()
    with pytest.raises(ValueError, match="failed"):
        await left


async def test_whoever_is_cancelled_while_the_work_waits_cancels_the_work_which_may_wait_once_more() -> None:
    work = Work()
    left = begun(work.do(waits=True))
    assert left is not None

    async def wait() -> None:
        await left

    waiting = asyncio.create_task(wait())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.sleep(0)
    assert work.done == ["begun"]
    work.cleaned.set()
    with pytest.raises(asyncio.CancelledError):
        await waiting

    assert work.done == ["begun", "cleaned"]


async def test_tasks_are_kept_until_they_end_and_waited_for() -> None:
    tasks, go_on, done = Tasks(), asyncio.Event(), list[int]()

    async def work(number: int) -> int:
        await go_on.wait()
        done.append(number)
        return number

    async def fail() -> None:
        raise ValueError("of no concern")

    first = tasks.run(work(1))
    tasks.run(work(2))
    tasks.run(fail())
    gc.collect()
    assert len(tasks) == 3
    assert first in tasks

    go_on.set()
    await tasks.wait()

    assert (await first, done, list(tasks)) == (1, [1, 2], [])
    await tasks.wait()


async def test_all_that_is_kept_is_ended() -> None:
    tasks, begun, ended = Tasks(), asyncio.Event(), list[str]()

    async def work(name: str) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(name)

    for name in ("a", "b"):
        tasks.run(work(name))
    await begun.wait()

    await tasks.end()

    assert (sorted(ended), len(tasks)) == (["a", "b"], 0)
