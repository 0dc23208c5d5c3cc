"""Keeps the book of settings of one node what the admin service says: told by a signal, and by asking now and then.

A signal may be lost and the admin service may be away. Then what held goes on to hold, and the node asks again: soon
after its start, when nothing is known yet, and every `reread_s` seconds ever after.
"""

import asyncio
from collections.abc import Mapping

import structlog

from fireside.contracts.admin import LIVE_SETTINGS, SettingsMoved
from fireside.contracts.base import Nothing
from fireside.core.errors import FiresideError
from fireside.core.tasks import end
from fireside.runtime.context import Context
from fireside.runtime.health import Check
from fireside.runtime.live.book import SettingsBook
from fireside.runtime.live.settings import FollowingSettings
from fireside.runtime.mesh import Service, on_signal

log = structlog.stdlib.get_logger(__name__)

_FIRST_WAIT_S = 0.25
_ANSWER_S = 5.0


class SettingsFollower(Service):
    """A part of every node."""

    name = "$settings"

    def __init__(self, *, book: SettingsBook, settings: FollowingSettings) -> None:
        self._book, self._settings = book, settings
        self._turn = asyncio.Lock()
        self._following: asyncio.Task[None] | None = None

    async def start(self, context: Context) -> None:
        """Ask once, so that a node that hosts the admin service begins with what holds; go on in the background."""
        if self._settings.follow:
            knows = await self._ask(context)
            self._following = asyncio.create_task(self._follow(context, knows=knows))

    async def stop(self) -> None:
        """Follow no more."""
        await end(self._following)
        self._following = None

    async def health(self) -> Mapping[str, Check]:
        """Whether this node could take every live setting."""
        reasons = "; ".join(self._book.refused.values())
        return {"live settings": Check("degraded", reasons)} if reasons else {}

    @on_signal(SettingsMoved)
    async def moved(self, context: Context, signal: SettingsMoved) -> None:
        """Ask for what has changed."""
        if self._settings.follow and signal.version > self._book.version:
            await self._ask(context.as_service(self.name))

    async def _follow(self, context: Context, *, knows: bool) -> None:
        wait_s = _FIRST_WAIT_S
        while True:
            longest_s = self._settings.reread_s
            await asyncio.sleep(longest_s if knows else min(wait_s, longest_s))
            wait_s *= 2
            knows = await self._ask(context) or knows

    async def _ask(self, context: Context) -> bool:
        """Whether the admin service answered."""
        try:
            async with self._turn:
                found = await context.call(LIVE_SETTINGS, Nothing(), timeout_s=_ANSWER_S)
                self._book.take(found.version, found.values)
        except FiresideError as error:
            log.debug("live_settings_not_read", code=error.code)
            return False
        return True
