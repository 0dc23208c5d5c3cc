"""Ending tasks that run in the background."""

import asyncio
from typing import Any


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
