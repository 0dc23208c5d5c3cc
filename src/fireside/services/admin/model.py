"""Versions of the live settings and what is different between them. No I/O."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field

from pydantic import JsonValue

from fireside.contracts.admin import ConfigChanged, ConfigVersion, SettingChange, Values
from fireside.contracts.inference import URLS_SETTING, InferenceUrlChanged
from fireside.contracts.usage import LIMITS_SETTING
from fireside.ports.event_stream import EventEnvelope


@dataclass(frozen=True, slots=True)
class Configuration:
    """The live settings as they are: 0 is the version before the first change."""

    version: int = 0
    values: Values = field(default_factory=lambda: Values())


@dataclass(frozen=True, slots=True)
class Wish:
    """A change that somebody asks for.

    Attributes:
        make: Gives the live settings that shall hold, from those that do.
        comment: Why.
        expected_version: The version that must be the present one; None for any.
        rolled_back_to: The version that the settings were taken from; None when from none.
    """

    make: Callable[[Values], Values]
    comment: str = ""
    expected_version: int | None = None
    rolled_back_to: int | None = None


def configuration_in(entry: EventEnvelope) -> Configuration:
    """The live settings that an entry of the log made."""
    return Configuration(entry.aggregate_version, ConfigChanged.model_validate_json(entry.payload).values)


def version_in(entry: EventEnvelope) -> ConfigVersion:
    """What an entry of the log tells people."""
    changed = ConfigChanged.model_validate_json(entry.payload)
    return ConfigVersion(
        version=entry.aggregate_version,
        at=entry.occurred_at,
        by=entry.actor_id,
        comment=changed.comment,
        rolled_back_to=changed.rolled_back_to,
        changes=changed.changes,
    )


def with_changes(values: Values, changes: Values) -> Values:
    """The live settings after some were changed, and those taken away whose change is None."""
    return {name: value for name, value in {**values, **changes}.items() if value is not None}


def differences(before: Values, after: Values) -> tuple[SettingChange, ...]:
    """What is different, in order of names."""
    return tuple(
        SettingChange(name=name, before=before.get(name), after=after.get(name))
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    )


def moved_urls(before: Values, after: Values, *, version: int) -> Iterator[InferenceUrlChanged]:
    """A fact for each model server that is to be reached at another address."""
    old, new = urls_in(before), urls_in(after)
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            yield InferenceUrlChanged(name=name, url=new.get(name), version=version)


def urls_in(values: Values) -> dict[str, str]:
    """The addresses of model servers among live settings."""
    found = values.get(URLS_SETTING)
    return {name: str(url) for name, url in found.items()} if isinstance(found, dict) else {}


def with_url(values: Values, name: str, url: str | None) -> Values:
    """The change that has a model server reached at an address; None for the one it is configured with."""
    others = {known: address for known, address in urls_in(values).items() if known != name}
    urls = others if url is None else {**others, name: url}
    return {URLS_SETTING: {**urls} or None}


def without_limits(values: Values, subjects: Collection[tuple[str, str]]) -> Values:
    """Live settings without the limits of users and API keys that are gone.

    Args:
        values: The live settings.
        subjects: `scope` and `who` of the limits that are to go.
    """
    limits = values.get(LIMITS_SETTING)
    if not isinstance(limits, list):
        return values
    kept = [limit for limit in limits if not isinstance(limit, dict) or _subject(limit) not in subjects]
    return {**values, LIMITS_SETTING: kept}


def _subject(limit: dict[str, JsonValue]) -> tuple[str, str]:
    return str(limit.get("scope")), str(limit.get("who"))
