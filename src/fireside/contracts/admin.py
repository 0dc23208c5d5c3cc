"""What the admin service offers: the configuration of all nodes, its live part kept as a history of versions.

Live settings are those that may change while nodes run. They lie over the defaults in code, `fireside.toml`, `.env` and
the environment. Each change is one fact about one aggregate, whose versions are those of the configuration.
"""

from datetime import datetime
from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import Field, JsonValue

from fireside.contracts.base import INTERNAL, Action, Contract, Event, Nothing, Signal
from fireside.contracts.permissions import ADMIN_READ, ADMIN_WRITE
from fireside.core.ids import UserId

CONFIGURATION = UUID("0197f3a0-0000-7000-8000-00000000c0f1")
"""The aggregate of all live settings."""
REFUSALS = UUID("0197f3a0-0000-7000-8000-00000000c0f2")
"""The aggregate of changes that were refused, so that they do not count as versions."""

Values = dict[Annotated[str, Field(max_length=100)], JsonValue]
"""Live settings by the name of their variable."""
Version = Annotated[int, Field(ge=0, le=2**53)]
"""Of the configuration: how many changes there were."""


class SettingView(Contract):
    """A setting as it holds on the node that answers; `***` stands for secrets.

    `source`: `default`, `fireside.toml`, `.env`, `environment`, `command line` or `live`. `live` tells whether it can
    be changed while nodes run, `unit` what a number counts.
    """

    name: str
    group: str
    value: JsonValue
    default: JsonValue
    source: str
    description: str
    unit: str | None = None
    live: bool


class ConfigView(Contract):
    """Every setting, and the version of the live ones (0: none was ever changed)."""

    version: int
    items: tuple[SettingView, ...]
    next_cursor: str | None = None


class ChangeConfig(Contract):
    """Asks for live settings to be changed, all or none. None takes a live value away: the layers below hold again.

    With `expected_version`, only when that is the version still.
    """

    values: Values = Field(min_length=1, max_length=100)
    comment: str = Field(default="", max_length=500)
    expected_version: Version | None = None


class RollBackConfig(Contract):
    """Asks for the live settings of an earlier version (0: none at all), as a new version."""

    version: Version
    comment: str = Field(default="", max_length=500)
    expected_version: Version | None = None


class SettingChange(Contract):
    """One line of a diff: the live value before and after; None for none."""

    name: str
    before: JsonValue = None
    after: JsonValue = None


class ConfigVersion(Contract):
    """A version: who made it (None: another program, by a message), when, and what is different from the one before.

    `changes` is empty when a change was asked for that was none: then this is the version that stays.
    """

    version: int
    at: datetime | None = None
    by: UserId | None = None
    comment: str = ""
    rolled_back_to: int | None = None
    changes: tuple[SettingChange, ...] = ()


class ListVersions(Contract):
    """Asks for versions, newest first; a cursor is the version that the last page ended with."""

    limit: int = Field(default=20, ge=1, le=100)
    cursor: Version | None = None


class VersionPage(Contract):
    """Versions, newest first."""

    items: tuple[ConfigVersion, ...]
    next_cursor: str | None = None


class LiveSettings(Contract):
    """The live settings, and their version."""

    version: int
    values: Values


class ConfigChanged(Event):
    """The live settings are now `values`."""

    topic: ClassVar[str] = "admin.config_changed"
    values: Values
    changes: tuple[SettingChange, ...]
    comment: str = ""
    rolled_back_to: int | None = None

    @property
    def aggregate_id(self) -> UUID:
        """The configuration."""
        return CONFIGURATION


class ConfigRefused(Event):
    """A change was asked for that is not allowed; nothing changed. Reasons by the name of the variable."""

    topic: ClassVar[str] = "admin.config_refused"
    reasons: dict[str, str]

    @property
    def aggregate_id(self) -> UUID:
        """All refusals."""
        return REFUSALS


class SettingsMoved(Signal):
    """The live settings have another version; whoever has not, asks for it."""

    topic: ClassVar[str] = "admin.settings_moved"
    version: int


CONFIG = Action("admin.config", Nothing, ConfigView, access=ADMIN_READ, idempotent=True)
CHANGE_CONFIG = Action("admin.change_config", ChangeConfig, ConfigVersion, access=ADMIN_WRITE)
CONFIG_HISTORY = Action("admin.config_history", ListVersions, VersionPage, access=ADMIN_READ, idempotent=True)
ROLL_BACK_CONFIG = Action("admin.roll_back_config", RollBackConfig, ConfigVersion, access=ADMIN_WRITE)
LIVE_SETTINGS = Action("admin.live_settings", Nothing, LiveSettings, access=INTERNAL, idempotent=True)
"""For nodes, which follow it."""
