"""A job as it changes, for the dialects in which its progress is told."""

import asyncio
from collections.abc import AsyncGenerator

from fireside.contracts.jobs import JobActions, JobRef, JobView
from fireside.runtime.context import Context

_ENDED = {"succeeded", "failed", "cancelled"}
_LOOK_S = 0.25


async def changes_of(context: Context, actions: JobActions, view: JobView) -> AsyncGenerator[JobView]:
    """The job as it is, and again whenever it has changed; the last one is how it ended.

    Args:
        context: Of someone who may see it.
        actions: Of its service.
        view: The job as it was found.
    """
    yield view
    while view.state not in _ENDED:
        await asyncio.sleep(_LOOK_S)
        shown, view = view, await context.call(actions.get, JobRef(id=view.id))
        if view != shown:
            yield view
