"""Events that are seldom waited for."""

import asyncio

from fireside.runtime.notices import Notice


async def test_whoever_waits_goes_on_once_there_is_something_to_notice() -> None:
    notice = Notice()
    waiting = [asyncio.create_task(notice.wait()) for _ in range(2)]
    await asyncio.sleep(0)

    assert not notice.is_set()
    notice.set()
    notice.clear()

    await asyncio.wait_for(asyncio.gather(*waiting), 1)
    assert not notice.is_set()


async def test_after_it_was_cleared_one_waits_again() -> None:
    notice = Notice()
    notice.set()
    await notice.wait()
    notice.clear()
    waiting = asyncio.create_task(notice.wait())
    await asyncio.sleep(0)

    assert not waiting.done()
    notice.set()
    await asyncio.wait_for(waiting, 1)
