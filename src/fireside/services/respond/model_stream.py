"""What a model says to a prompt, with the wait for its turn as steps that the reader sees."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from fireside.contracts import inference
from fireside.contracts.answer import Step
from fireside.contracts.inference import Chat, ChatDelta, ChatEnd, ChatQueued
from fireside.services.respond.task import AnswerTask, step

_NAME = "queue"


async def model_stream(task: AnswerTask, request: Chat) -> AsyncGenerator[Step | ChatDelta | ChatEnd]:
    """The model's stream; while the request waits for its turn, the step `queue` tells how long that may take.

    Raises:
        FiresideError: No model could answer, or it failed.
    """
    queued = False
    async with aclosing(task.context.stream(inference.CHAT, request)) as items:
        async for item in items:
            if isinstance(item, ChatQueued):
                queued = True
                yield step(task, "respond", _NAME, "started", detail=_told(item))
                continue
            if queued:
                queued = False
                yield step(task, "respond", _NAME, "done")
            yield item


def _told(queued: ChatQueued) -> str:
    requests = "1 request is" if queued.ahead == 1 else f"{queued.ahead} requests are"
    return f"{requests} ahead of this one; about {max(1, round(queued.expected_wait_s))} s"
