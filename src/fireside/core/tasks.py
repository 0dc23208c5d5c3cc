"""Keeping tasks that run in the background and ending them, and work that is begun before a task waits for it."""

import asyncio
from collections.abc import Awaitable, Coroutine, Generator, Iterator
from functools import partial
from typing import Any, TypeVar, final

ResultT = TypeVar("ResultT")


class Tasks:
    """Tasks that nobody waits for, kept until they end: the loop itself would let the garbage collector take them.

    What one raises is told by the loop, as of any task that nobody asks, unless it is ended or waited for here.
    """

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        """How many have not ended."""
        return len(self._running)

    def __iter__(self) -> "Iterator[asyncio.Task[Any]]":
        """Those that have not ended."""
        return iter(tuple(self._running))

    def run(self, work: Coroutine[Any, Any, ResultT]) -> "asyncio.Task[ResultT]":
        """Begin a task."""
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    async def wait(self) -> None:
        """Return when those that have begun until now have ended, whatever they raise."""
        await asyncio.gather(*self._running, return_exceptions=True)

    async def end(self) -> None:
        """Cancel them, and return when they have ended, whatever they raise."""
        await end(*self._running)


async def end(*tasks: "asyncio.Task[Any] | None", within_s: float = 2.0) -> None:
    """Cancel tasks, and return when they have ended, whatever they raise.

    A cancellation that comes in the moment in which `asyncio.wait_for` has its result is lost (until Python 3.12), and
    many drivers use it: a loop around them would go on for ever. So it is repeated.

    Args:
        tasks: Not the one that calls this; None is passed over.
        within_s: How long they may take for their last things before they are cancelled again.
    """
    begun = [task for task in tasks if task is not None]
    left = {task for task in begun if not task.done()}
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=within_s)
    await asyncio.gather(*begun, return_exceptions=True)


def begun(work: Awaitable[None]) -> Awaitable[None] | None:
    """Do work now, up to where it has to wait: in a callback of the event loop, whose next turn it spares.

    Until it has waited for the first time it runs in no task: it must not ask for the current one, as timeouts do.

    Returns:
        None when it is over; else what is left of it, to be awaited, which also raises what it raised at once.
    """
    steps = work.__await__()
    try:
        waits_for = next(steps)
    except StopIteration:
        return None
    except Exception as error:  # noqa: BLE001 - raised where the rest is awaited
        return _raised(error)
    return _Begun(steps, waits_for)


@final
class _Begun(Awaitable[None]):
    """Work that waits for something; whoever awaits it waits for the same, and is told what comes of it."""

    def __init__(self, steps: Generator[Any, None, None], waits_for: Any) -> None:
        self._steps, self._waits_for = steps, waits_for

    def __await__(self) -> Generator[Any, None, None]:
        while True:
            try:
                yield self._waits_for
            except BaseException as error:  # noqa: BLE001 - thrown at whoever waits, which the work does
                step = partial(self._steps.throw, error)
            else:
                step = partial(next, self._steps)
            try:
                self._waits_for = step()
            except StopIteration:
                return


def _raised(error: Exception) -> Awaitable[None]:
    failed = asyncio.get_running_loop().create_future()
    failed.set_exception(error)
    failed.exception()  # whoever should await it may have been cancelled
    return failed
