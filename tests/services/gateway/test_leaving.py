"""Work that stops when the client it is done for leaves."""

import asyncio

import pytest
from starlette.types import Message

from fireside.services.gateway.leaving import ClientLeftError, UntilLeft


class Line:
    """A connection that its client leaves when a test says so."""

    def __init__(self) -> None:
        self.left = asyncio.Event()

    async def receive(self) -> Message:
        await self.left.wait()
        return {"type": "http.disconnect"}


async def test_work_for_a_client_that_leaves_is_cancelled_where_it_waits() -> None:
    line, begun, cleaned = Line(), asyncio.Event(), asyncio.Event()

    async def work() -> None:
        with UntilLeft(line.receive):
            try:
                begun.set()
                await asyncio.Event().wait()
            finally:
                cleaned.set()

    working = asyncio.create_task(work())
    await begun.wait()
    line.left.set()

    with pytest.raises(ClientLeftError):
        await working
    assert cleaned.is_set()
    assert working.cancelling() == 0


async def test_whoever_cancels_the_work_itself_is_heard() -> None:
    line, begun = Line(), asyncio.Event()

    async def work() -> None:
        with UntilLeft(line.receive):
            begun.set()
            await asyncio.Event().wait()

    working = asyncio.create_task(work())
    await begun.wait()
    line.left.set()
    working.cancel()

    with pytest.raises(asyncio.CancelledError):
        await working


async def test_a_client_that_leaves_after_its_answer_disturbs_nobody() -> None:
    line = Line()

    with UntilLeft(line.receive):
        await asyncio.sleep(0)
    line.left.set()
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_an_error_of_the_work_stays_what_it_is() -> None:
    with pytest.raises(ValueError, match="wrong"), UntilLeft(Line().receive):
        raise ValueError("wrong")
