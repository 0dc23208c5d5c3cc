"""Background tasks end when they are told to."""

import asyncio

from fireside.core.tasks import end


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
