"""Getting one file to this machine: broken connections are taken up again, and who wants the same file waits for it."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass

import structlog

from fireside.core.clock import Clock
from fireside.ports.model_files import Draft, ModelFiles
from fireside.ports.model_source import BrokenDownloadError, Incoming, ModelSource, Resolution
from fireside.runtime.durable import JobCancelledError
from fireside.services.explore.errors import NotEnoughDiskError
from fireside.services.explore.settings import ExploreSettings
from fireside.services.explore.throttle import Throttle

log = structlog.stdlib.get_logger(__name__)

_LOOK_S = 0.3
_LONGEST_PAUSE_S = 30.0
_DISK_CHECK_BYTES = 64 * 1024**2

Report = Callable[[int, int | None], Awaitable[None]]
"""Told how many bytes are here, of how many; raises JobCancelledError when the job should end."""
Inspect = Callable[[Draft, int | None], Awaitable[None]]
"""Looks at what is here so far, and raises when it is not worth going on."""


@dataclass(frozen=True, slots=True)
class Watchers:
    """Who is told of a download. `paused` tells whether it shall wait."""

    report: Report
    inspect: Inspect
    paused: Callable[[], Awaitable[bool]]
    is_here: Callable[[], Awaitable[bool]]


def draft_key(resolution: Resolution) -> str:
    """The key of the draft: the same for all who want the same bytes."""
    return hashlib.sha256((resolution.sha256 or resolution.location).encode()).hexdigest()


class Fetching:
    """Downloads into drafts."""

    def __init__(self, files: ModelFiles, settings: ExploreSettings, clock: Clock) -> None:
        """Put drafts into these files, within these limits."""
        self._files, self._settings, self._clock = files, settings, clock
        self._throttle = Throttle(settings.rate_bytes_per_s, clock)

    async def hold(self, key: str, stack: ExitStack, watchers: Watchers) -> Draft | None:
        """The draft of that key, waiting while others write it; None when what they wrote is here now.

        Args:
            key: Of the draft.
            stack: Lets go of it.
            watchers: `report` is told how far the others are.
        """
        while True:
            if await watchers.is_here():
                return None
            draft = await asyncio.to_thread(stack.enter_context, self._files.draft(key))
            if draft is not None:
                if not await watchers.is_here():
                    return draft
                await asyncio.to_thread(draft.discard)
                return None
            await watchers.report(self._files.draft_bytes(key), None)
            await asyncio.sleep(_LOOK_S)

    async def fetch(self, source: ModelSource, resolution: Resolution, draft: Draft, watchers: Watchers) -> None:
        """Bring the draft to its end.

        Raises:
            BrokenDownloadError: The connection broke again and again; the draft stays, to be gone on with.
            NotEnoughDiskError: There is no room.
            JobCancelledError: It shall end; the draft is gone.
        """
        failures, total = 0, resolution.size_bytes
        self.check_room(max(0, (total or 0) - draft.size_bytes))
        while total is None or draft.size_bytes < total:
            await self._wait_while_paused(draft, watchers)
            before = draft.size_bytes
            try:
                async with source.download(resolution.location, start=before, validator=draft.validator) as incoming:
                    total = _total(incoming, resolution)
                    if await self._receive(incoming, draft, total, watchers):
                        break
            except BrokenDownloadError as error:
                failures = 1 if draft.size_bytes > before else failures + 1
                log.info("model_download_broken", bytes_here=draft.size_bytes, failures=failures, reason=error.message)
                if failures >= self._settings.broken_attempts:
                    raise
                await self._pause(failures)
            except JobCancelledError:
                await asyncio.to_thread(draft.discard)
                raise

    async def _receive(self, incoming: Incoming, draft: Draft, total: int | None, watchers: Watchers) -> bool:
        """Write what comes; says whether that was all."""
        self.check_room((total or incoming.start) - incoming.start)
        await asyncio.to_thread(draft.begin, incoming.start, incoming.validator)
        size = checked = incoming.start
        async for chunk in incoming.chunks:
            await self._throttle.take(len(chunk))
            await asyncio.to_thread(draft.write, chunk)
            size += len(chunk)
            if total is not None and size > total:
                await asyncio.to_thread(draft.begin, 0, "")
                raise BrokenDownloadError(f"more came than the {total} bytes that were announced")
            if size - checked >= _DISK_CHECK_BYTES:
                self.check_room(0)
                checked = size
            await watchers.report(size, total)
            await watchers.inspect(draft, total)
            if await watchers.paused():
                return False
        if total is not None and size < total:
            raise BrokenDownloadError(f"the source ended after {size} of {total} bytes")
        return True

    async def _wait_while_paused(self, draft: Draft, watchers: Watchers) -> None:
        while await watchers.paused():
            try:
                await watchers.report(draft.size_bytes, None)
            except JobCancelledError:
                await asyncio.to_thread(draft.discard)
                raise
            await asyncio.sleep(_LOOK_S)

    async def _pause(self, failures: int) -> None:
        await asyncio.sleep(min(self._settings.broken_pause_s * 2 ** (failures - 1), _LONGEST_PAUSE_S))

    def check_room(self, needed_bytes: int) -> None:
        """Pass when there is room for so many bytes more.

        Raises:
            NotEnoughDiskError: There is not.
        """
        room = self._files.free_bytes() - self._settings.reserve_bytes
        if needed_bytes > room or room < 0:
            raise NotEnoughDiskError(
                f"{needed_bytes} bytes are needed, and {max(0, room)} are free beside the reserve of"
                f" {self._settings.reserve_bytes}",
                needed_bytes=needed_bytes,
                free_bytes=max(0, room),
            )


def _total(incoming: Incoming, resolution: Resolution) -> int | None:
    announced, comes = resolution.size_bytes, incoming.size_bytes
    if announced is not None and comes is not None and announced != comes:
        raise BrokenDownloadError(f"the source sends {comes} bytes, and announced {announced}")
    return announced if announced is not None else comes
