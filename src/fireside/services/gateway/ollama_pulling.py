"""What clients of Ollama see of an installation: its progress as Ollama tells it."""

import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from fireside.contracts import explore
from fireside.contracts.explore import InstallModel
from fireside.contracts.jobs import JobRef, JobView, jobs_of
from fireside.core.ids import JobId
from fireside.runtime.context import Context
from fireside.services.gateway.job_following import changes_of
from fireside.services.gateway.request_bodies import read_request

_HUB = re.compile(r"(?:https?://)?(?:hf\.co|huggingface\.co)/")
_NAME = re.compile(explore.NAME_PATTERN)


async def begin_pull(context: Context, name: str) -> JobId:
    """Begin to install what Ollama knows by a name.

    Args:
        context: Of whoever asks; the installation goes on when they leave.
        name: As for `ollama pull`: a model of its library, `user/model`, or `hf.co/user/repository`, with a tag or not.
    """
    hub = _HUB.match(name)
    source = f"hf:{name[hub.end() :]}" if hub else f"ollama:{name}"
    wanted = read_request(InstallModel, {"source": source, "name": name if _NAME.fullmatch(name) else None})
    return (await context.call(explore.INSTALL, wanted)).job_id


async def progress_of_pull(context: Context, job_id: JobId) -> AsyncGenerator[dict[str, Any]]:
    """The lines of a pull: how far it is whenever that changes, then `success` or the error."""
    actions, told = jobs_of("explore"), dict[str, Any]()
    begun = await context.call(actions.get, JobRef(id=job_id))
    async with aclosing(changes_of(context, actions, begun)) as jobs:
        async for job in jobs:
            line = _line(job)
            if line != told:
                told = line
                yield line


def _line(job: JobView) -> dict[str, Any]:
    match job.state:
        case "succeeded":
            return {"status": "success"}
        case "failed":
            return {"error": str((job.error or {}).get("message", "the installation failed"))}
        case "cancelled":
            return {"error": "the installation was cancelled"}
        case _ if not job.percent:
            return {"status": "pulling manifest"}
        case _:
            return {"status": job.stage or "pulling", "total": 100, "completed": int(job.percent)}
