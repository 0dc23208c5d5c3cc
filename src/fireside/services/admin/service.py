"""The admin service: the configuration of all nodes. Its live part is a log of facts, and nothing but that."""

import asyncio
from typing import ClassVar

import structlog

from fireside.contracts import admin
from fireside.contracts.admin import CONFIGURATION, ConfigVersion, Values
from fireside.contracts.auth_facts import UserDeleted
from fireside.contracts.base import Nothing
from fireside.contracts.inference import URLS_SETTING, InferenceUrlChanged, MoveInferenceUrl
from fireside.contracts.permissions import ADMIN_WRITE
from fireside.core.errors import FiresideError, ForbiddenError
from fireside.core.tasks import end
from fireside.ports.event_stream import EventEnvelope
from fireside.runtime.context import Context
from fireside.runtime.durable import Database, DurableService, UnitOfWork, event_log
from fireside.runtime.live import SettingsBook
from fireside.runtime.mesh import action, on_event, on_signal
from fireside.services.admin.errors import SettingsRefusedError, VersionNotFoundError, refused
from fireside.services.admin.model import (
    Configuration,
    Wish,
    configuration_in,
    differences,
    moved_urls,
    version_in,
    with_changes,
    with_url,
    without_limits,
)

log = structlog.stdlib.get_logger(__name__)


class AdminService(DurableService):
    """Shows, changes and rolls back settings, and tells every node."""

    name: ClassVar[str] = "admin"

    def __init__(self, *, database: Database, book: SettingsBook) -> None:
        """Put the service together.

        Args:
            database: Its own; it has no tables beside the log.
            book: The settings of this node, with every class of every service in it.
        """
        super().__init__(database=database)
        self._book = book
        self._told = 0
        self._news = asyncio.Event()
        self._telling: asyncio.Task[None] | None = None

    async def start(self, context: Context) -> None:
        """Begin to tell the nodes of what is committed."""
        self.database.wakeups.listen("events", self._news.set)
        self._telling = asyncio.create_task(self._tell_of_news(context))

    async def stop(self) -> None:
        """Tell no more; nodes ask by themselves."""
        self.database.wakeups.forget("events", self._news.set)
        await end(self._telling)
        self._telling = None

    @action(admin.CONFIG)
    async def config(self, _context: Context, _request: Nothing) -> admin.ConfigView:
        """Every setting as it holds on this node, secrets hidden."""
        shown = sorted(self._book.show(), key=lambda setting: (setting.group, setting.name))
        items = tuple(admin.SettingView.model_validate(setting, from_attributes=True) for setting in shown)
        return admin.ConfigView(version=(await self._present()).version, items=items)

    @action(admin.LIVE_SETTINGS)
    async def live_settings(self, _context: Context, _request: Nothing) -> admin.LiveSettings:
        """What nodes are to follow."""
        present = await self._present()
        return admin.LiveSettings(version=present.version, values=present.values)

    @action(admin.CHANGE_CONFIG)
    async def change_config(self, context: Context, request: admin.ChangeConfig) -> ConfigVersion:
        """Change live settings; they hold on this node when this returns, and on the others a moment later.

        Raises:
            SettingsRefusedError: A value is not allowed, or not of a live setting. Nothing was changed.
            VersionConflictError: Somebody else made a version meanwhile.
        """

        def changed(present: Values) -> Values:
            return with_changes(present, request.values)

        return await self._make_version(context, Wish(changed, request.comment, request.expected_version))

    @action(admin.ROLL_BACK_CONFIG)
    async def roll_back_config(self, context: Context, request: admin.RollBackConfig) -> ConfigVersion:
        """Make the live settings of an earlier version hold again, as a new version.

        Raises:
            VersionNotFoundError: There is no such version.
            SettingsRefusedError: A value of it is not allowed any more. Nothing was changed.
            VersionConflictError: Somebody else made a version meanwhile.
        """
        values = await self._values_of(request.version)
        wish = Wish(lambda _present: values, request.comment, request.expected_version, rolled_back_to=request.version)
        return await self._make_version(context, wish)

    @action(admin.CONFIG_HISTORY)
    async def config_history(self, _context: Context, request: admin.ListVersions) -> admin.VersionPage:
        """The versions with their differences, newest first."""
        async with self.database.read() as session:
            found = await event_log.newest(session, CONFIGURATION, before=request.cursor, limit=request.limit + 1)
        shown = found[: request.limit]
        next_cursor = str(shown[-1].aggregate_version) if len(found) > len(shown) else None
        return admin.VersionPage(items=tuple(version_in(entry) for entry in shown), next_cursor=next_cursor)

    @on_event(InferenceUrlChanged)
    async def url_changed(self, _context: Context, event: InferenceUrlChanged, unit: UnitOfWork) -> None:
        """Take over where a model server is, when another program says so; our own facts follow from versions."""
        if event.version is not None:
            return
        try:
            await self._move_url(unit, event.name, event.url)
        except SettingsRefusedError as error:
            self._note_refusal(unit, error)

    @on_event(UserDeleted)
    async def user_deleted(self, _context: Context, event: UserDeleted, unit: UnitOfWork) -> None:
        """Take away the limits of a user who is gone and of their API keys, where they are live settings."""
        gone = {("user", str(event.user_id)), *(("key", str(key_id)) for key_id in event.api_key_ids)}
        await self._write(unit, Wish(lambda present: without_limits(present, gone), comment=UserDeleted.topic))

    @on_signal(MoveInferenceUrl)
    async def move_url(self, context: Context, signal: MoveInferenceUrl) -> None:
        """The same, told on the mesh: by a node that the cluster trusts, or is told to listen to."""
        try:
            if context.identity.kind == "user":
                context.identity.require(ADMIN_WRITE)
            async with self.database.transaction(context) as unit:
                await self._move_url(unit, signal.name, signal.url)
        except ForbiddenError as error:
            log.warning("config_refused", settings=[URLS_SETTING], reason=error.message)
        except SettingsRefusedError as error:
            await self._keep_refusal(context, error)

    async def _move_url(self, unit: UnitOfWork, name: str, url: str | None) -> None:
        configured = {setting.name: setting.value for setting in self._book.show() if setting.name == URLS_SETTING}

        def moved(present: Values) -> Values:
            return with_changes(present, with_url({**configured, **present}, name, url))

        await self._write(unit, Wish(moved, comment=InferenceUrlChanged.topic))

    async def _make_version(self, context: Context, wish: Wish) -> ConfigVersion:
        try:
            async with self.database.transaction(context) as unit:
                version, is_new = await self._write(unit, wish)
        except SettingsRefusedError as error:
            await self._keep_refusal(context, error)
            raise
        await self._tell(context)
        entry = await self._entry(version)
        made = ConfigVersion(version=0) if entry is None else version_in(entry)
        return made if is_new else made.model_copy(update={"changes": ()})

    async def _write(self, unit: UnitOfWork, wish: Wish) -> tuple[int, bool]:
        """Write a version, unless it would be equal to the present one.

        Returns:
            The version that holds, and whether it is written now. The commit fails when somebody else was quicker.
        """
        entries = await event_log.newest(unit.session, CONFIGURATION)
        present = configuration_in(entries[0]) if entries else Configuration()
        wanted = wish.make(present.values)
        values = {**wanted, **self._allowed(wanted, present.values)}
        changes = differences(present.values, values)
        if not changes:
            return present.version, False
        expected = present.version if wish.expected_version is None else wish.expected_version
        unit.emit(
            admin.ConfigChanged(
                values=values, changes=changes, comment=wish.comment, rolled_back_to=wish.rolled_back_to
            ),
            expected_version=expected,
        )
        for moved in moved_urls(present.values, values, version=present.version + 1):
            unit.emit(moved)
        return present.version + 1, True

    def _allowed(self, wanted: Values, present: Values) -> Values:
        """Those of the wanted values that are new, in their normal form."""
        new = {name: value for name, value in wanted.items() if value != present.get(name)}
        allowed, reasons = self._book.checked(new)
        if reasons:
            raise refused(reasons)
        return allowed

    async def _keep_refusal(self, context: Context, error: SettingsRefusedError) -> None:
        async with self.database.transaction(context) as unit:
            self._note_refusal(unit, error)

    def _note_refusal(self, unit: UnitOfWork, error: SettingsRefusedError) -> None:
        reasons = {str(item["field"]): str(item["message"]) for item in error.details["errors"]}
        log.warning("config_refused", settings=sorted(reasons), reason=error.message)
        unit.emit(admin.ConfigRefused(reasons=reasons))

    async def _values_of(self, version: int) -> Values:
        entry = await self._entry(version)
        if entry is None and version > 0:
            raise VersionNotFoundError(version=version)
        return {} if entry is None else configuration_in(entry).values

    async def _present(self) -> Configuration:
        entry = await self._entry(None)
        return Configuration() if entry is None else configuration_in(entry)

    async def _entry(self, version: int | None) -> EventEnvelope | None:
        """What the log says about a version, or about the newest one."""
        before = None if version is None else version + 1
        async with self.database.read() as session:
            entries = await event_log.newest(session, CONFIGURATION, before=before)
        return entries[0] if entries and version in {None, entries[0].aggregate_version} else None

    async def _tell_of_news(self, context: Context) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            try:
                await self._tell(context)
            except FiresideError as error:  # nodes ask by themselves before long
                log.warning("config_not_told", code=error.code)
            except Exception:  # the outermost loop: the next news may be told
                log.exception("config_not_told")

    async def _tell(self, context: Context) -> None:
        present = await self._present()
        self._book.take(present.version, present.values)
        if present.version > self._told:
            self._told = present.version
            await context.as_service(self.name).broadcast(admin.SettingsMoved(version=present.version))
